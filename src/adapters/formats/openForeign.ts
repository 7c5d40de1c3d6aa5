import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { CallerError } from '../../domain/errors.ts';
import { dictionaryLearning } from './dictionaryLearning.ts';
import type { ForeignDictionary, ForeignFormat, ForeignReadOptions } from './foreign.ts';
import { gemmaScope } from './gemmaScope.ts';
import { learnedDicts } from './learnedDicts.ts';
import { saelens } from './saelens.ts';
import { sparsify } from './sparsify.ts';

interface KnownFormat {
  readonly format: ForeignFormat;
  /** Paths below the folder that decide what is read. */
  readonly sources: RegExp;
}

/** Every format that can be imported: a new one is a file and a line here. */
const KNOWN: readonly KnownFormat[] = [
  { format: saelens, sources: /^(?:cfg\.json|sae_weights\.safetensors|activation_scaler\.json)$/ },
  { format: sparsify, sources: /^(?:config\.json|(?:[^/]+\/)?(?:cfg\.json|sae\.safetensors))$/ },
  { format: dictionaryLearning, sources: /^(?:config\.json|ae\.pt)$/ },
  { format: gemmaScope, sources: /^(?:config\.json|params\.npz|params\.safetensors)$/ },
  { format: learnedDicts, sources: /^learned_dicts[^/]*\.pt$/ },
];

export const FOREIGN_FORMATS: readonly string[] = KNOWN.map(({ format }) => format.name);

/** A folder whose format is known, before its weights are read. */
export interface RecognisedForeign {
  readonly format: string;
  /** sha-256 by path below the folder, of every file that decides what is read. */
  hashes(): Promise<Readonly<Record<string, string>>>;
  /** Throws BAD_DICTIONARY or UNSUPPORTED. */
  read(options?: ForeignReadOptions): Promise<readonly ForeignDictionary[]>;
}

/**
 * Recognises the format of a folder by the files in it, or takes the one asked for. Throws NOT_FOUND when there is no such
 * folder, UNSUPPORTED when it holds none or several of the formats (saying where below it some lie).
 */
export async function recogniseForeign(folder: string, asked: string | null): Promise<RecognisedForeign> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause: unknown) => {
    throw new CallerError('NOT_FOUND', `${folder} is no folder that can be read: expected a folder with a dictionary`, { cause });
  });
  const files = entries.filter((entry) => !entry.isDirectory()).map(({ name }) => name);
  const { format, sources } = asked === null ? await only(folder, files) : byName(asked);
  return {
    format: format.name,
    hashes: async () => {
      const paths = (await readdir(folder, { recursive: format.name === 'sparsify' })).map((path) => path.replaceAll('\\', '/')).filter((path) => sources.test(path)).sort();
      const hashes: Record<string, string> = {};
      for (const path of paths) hashes[path] = await sha256(join(folder, path));
      return hashes;
    },
    read: async (options = {}) => {
      if (options.normFactor !== undefined && format !== saelens) throw new CallerError('BAD_INPUT', `--norm-factor is for SAELens dictionaries; ${folder} is of the format ${format.name}`);
      return format.read(folder, options);
    },
  };
}

function byName(name: string): KnownFormat {
  const found = KNOWN.find(({ format }) => format.name === name);
  if (found === undefined) throw new CallerError('UNSUPPORTED', `format ${name}: expected one of ${FOREIGN_FORMATS.join(', ')}`);
  return found;
}

async function only(folder: string, files: readonly string[]): Promise<KnownFormat> {
  const fitting: KnownFormat[] = [];
  for (const known of KNOWN) if (await known.format.recognises(files, folder)) fitting.push(known);
  if (fitting.length === 1) return fitting[0]!;
  if (fitting.length > 1) throw new CallerError('UNSUPPORTED', `${folder} could be of the formats ${fitting.map(({ format }) => format.name).join(', ')}: choose one with --format`);
  const below = await foldersBelow(folder);
  const where = below.length === 0 ? '' : `; below it lie ${below.slice(0, 8).join(', ')}${below.length > 8 ? ` and ${below.length - 8} more` : ''}: name one of these`;
  throw new CallerError('UNSUPPORTED', `${folder} holds no dictionary of a format we know (${FOREIGN_FORMATS.join(', ')}): found ${files.slice(0, 8).join(', ') || 'no files'}${where}`);
}

/** Folders up to four deep that hold a dictionary. */
async function foldersBelow(folder: string, depth = 4, prefix = ''): Promise<string[]> {
  if (depth === 0) return [];
  const found: string[] = [];
  for (const entry of await readdir(join(folder, prefix), { withFileTypes: true }).catch(() => [])) {
    if (!entry.isDirectory()) continue;
    const path = prefix === '' ? entry.name : `${prefix}/${entry.name}`;
    const files = await readdir(join(folder, path)).catch(() => []);
    if (files.some((name) => /^(?:sae_weights\.safetensors|sae\.safetensors|ae\.pt|params\.(?:npz|safetensors)|learned_dicts.*\.pt)$/.test(name))) found.push(path);
    else found.push(...(await foldersBelow(folder, depth - 1, path)));
  }
  return found.sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 4 << 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
