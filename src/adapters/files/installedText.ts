import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { CallerError, OutsideError } from '../../domain/errors.ts';
import { Rng } from '../../math/rng.ts';
import { CODE_PATTERNS, PROSE_PACKAGES } from './installedPackages.ts';

/** One text and where it came from: `package@version/path/inside`. */
export interface InstalledDocument {
  readonly path: string;
  readonly text: string;
}

/** Below this a file is a stub or a re-export; above it a bundle. In UTF-16 code units. */
const SHORTEST = 200;
const LONGEST = 1_500_000;
/** A source line longer than this means minified or generated. Markdown may have such lines: a paragraph is one line. */
const LONGEST_CODE_LINE = 800;
/** Texts in other scripts would need many byte-tokens that a 4096-word vocabulary cannot learn. */
const MOST_NON_ASCII = 0.02;

const UNWANTED =
  /(^|\/)(node_modules|tests?|__tests__|benchmarks?|examples?|fixtures|vendor|generated|locales)\/|\.(test|spec|bench|min|umd|generated)\.|protobuf|_virtual|^(lodash|core)\.js$|ts\d\.\d\//;
const UNWANTED_PROSE = /^(licen[cs]e|code_of_conduct|readme[-_])/i;
const GENERATED_MARK = /@generated|auto-?generated|automatically generated|do not edit|sourceMappingURL=data:/i;

/**
 * The text that every installation has on disk after `npm ci`: Markdown, declaration files and readable sources of the
 * packages pinned in installedPackages.ts. The same lockfile and seed give the same documents in the same order on every
 * machine. Identical files are given once.
 *
 * @param options.nodeModules the `node_modules` folder itself.
 * @param options.seed orders the documents.
 * @throws CallerError (NOT_FOUND) when a listed package is not installed; OutsideError when a file cannot be read.
 */
export async function installedText(options: { nodeModules: string; seed: number }): Promise<InstalledDocument[]> {
  const packages = [...new Set([...Object.keys(CODE_PATTERNS), ...PROSE_PACKAGES])].sort(byCodeUnit);
  const prose = new Set(PROSE_PACKAGES);
  const seen = new Set<string>();
  const documents: InstalledDocument[] = [];
  for (const name of packages) {
    const folder = join(options.nodeModules, ...name.split('/'));
    const version = await versionOf(folder, name);
    const patterns = CODE_PATTERNS[name] ?? [];
    const wanted = patterns.map(patternToRegExp);
    const files = await filesUnder(folder, patterns.map(folderOf));
    for (const file of files) {
      const isProse = prose.has(name) && /^[^/]+\.(md|markdown)$/i.test(file) && !UNWANTED_PROSE.test(file);
      const isListed = wanted.some((pattern) => pattern.test(file)) && !UNWANTED.test(file);
      if (!isProse && !isListed) continue;
      const text = (await read(join(folder, ...file.split('/')))).replaceAll('\r\n', '\n');
      if (!isReadable(text, /\.(md|markdown)$/i.test(file))) continue;
      const digest = createHash('sha256').update(text).digest('base64');
      if (seen.has(digest)) continue;
      seen.add(digest);
      documents.push({ path: `${name}@${version}/${file}`, text });
    }
  }
  return Rng.derive(options.seed, 'installedText').shuffle(documents);
}

function byCodeUnit(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0; // not localeCompare: the order must not depend on the machine's locale
}

async function versionOf(folder: string, name: string): Promise<string> {
  let manifest: string;
  try {
    manifest = await readFile(join(folder, 'package.json'), 'utf8');
  } catch (cause) {
    throw new CallerError('NOT_FOUND', `expected the package ${name} at ${folder}, found none; run \`npm ci\` first`, { cause });
  }
  const parsed: unknown = JSON.parse(manifest);
  if (typeof parsed === 'object' && parsed !== null && 'version' in parsed && typeof parsed.version === 'string') return parsed.version;
  throw new CallerError('NOT_FOUND', `expected a version in ${join(folder, 'package.json')}; run \`npm ci\` again`);
}

/** The part of a pattern before its first `*`, up to the last `/`: '' for the package's own folder. */
function folderOf(pattern: string): string {
  const fixed = pattern.split('*')[0]!;
  return fixed.slice(0, fixed.lastIndexOf('/') + 1);
}

/** Paths of files in the package's own folder and in those subfolders, `/`-separated, sorted; no nested node_modules. */
async function filesUnder(folder: string, subfolders: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  const walk = async (prefix: string): Promise<void> => {
    for (const entry of await readdir(join(folder, prefix), { withFileTypes: true })) {
      const path = prefix === '' ? entry.name : `${prefix}/${entry.name}`;
      if (entry.isDirectory()) {
        const inside = `${path}/`;
        const wanted = subfolders.some((subfolder) => subfolder.startsWith(inside) || inside.startsWith(subfolder));
        if (wanted && entry.name !== 'node_modules') await walk(path);
      } else if (entry.isFile()) found.push(path);
    }
  };
  await walk('');
  return found.sort(byCodeUnit);
}

async function read(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new OutsideError('disk', `could not read ${path}`, { cause });
  }
}

/** `**` matches any characters, `*` any but `/`. */
function patternToRegExp(pattern: string): RegExp {
  const source = pattern.split('**').map((part) => part.split('*').map(escape).join('[^/]*')).join('.*');
  return new RegExp(`^${source}$`);
}

function escape(literal: string): string {
  return literal.replace(/[.+?^${}()|[\]\\]/g, '\\$&');
}

function longestLine(text: string): number {
  let longest = 0;
  for (let from = 0; from <= text.length; ) {
    const newline = text.indexOf('\n', from);
    const end = newline < 0 ? text.length : newline;
    longest = Math.max(longest, end - from);
    from = end + 1;
  }
  return longest;
}

function isReadable(text: string, isMarkdown: boolean): boolean {
  if (text.length < SHORTEST || text.length > LONGEST) return false;
  if (!isMarkdown && (GENERATED_MARK.test(text.slice(0, 2000)) || longestLine(text) > LONGEST_CODE_LINE)) return false;
  let nonAscii = 0;
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 127) nonAscii++;
  return nonAscii <= MOST_NON_ASCII * text.length;
}
