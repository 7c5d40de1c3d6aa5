import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { HubApiError, listFiles } from '@huggingface/hub';
import { CallerError, OutsideError, messageOf } from '../../domain/errors.ts';
import type { HubFile } from './chooseFiles.ts';
import { fetchFile } from './fetchFile.ts';
import type { HubAccess } from './fetchModel.ts';

/** A dictionary on the hub: `owner/name`, `owner/name:folder`, either with `@revision` behind. */
export interface HubDictionary {
  readonly id: string;
  /** Folder inside the repository; empty for its root. */
  readonly folder: string;
  readonly revision: string;
}

const WEIGHTS = /(?:^|\/)(?:sae_weights\.safetensors|sae\.safetensors|ae\.pt|params\.npz|params\.safetensors|learned_dicts[^/]*\.pt)$/;
const CONFIGS = /(?:^|\/)(?:cfg\.json|config\.json|activation_scaler\.json)$/;

/** Null when the text is no such id. */
export function parseHubDictionary(text: string): HubDictionary | null {
  const match = /^([A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*)(?::([^@]*))?(?:@([\w./-]+))?$/.exec(text);
  if (match === null) return null;
  const folder = (match[2] ?? '').replace(/^\/+|\/+$/g, '');
  const revision = match[3] ?? 'main';
  if ([...folder.split('/'), ...revision.split('/')].some((part) => part === '..' || part === '.') || folder.includes('//')) return null;
  return { id: match[1]!, folder, revision };
}

/**
 * Fetches the files of one dictionary into `cacheDir` and returns its folder. Only files that a format of ours reads are
 * fetched, from the folder named and the config.json above it; a second call asks nobody.
 *
 * Throws NOT_FOUND when the hub has no such repository, revision or folder, UNSUPPORTED when the folder holds no dictionary (it
 * says which folders below do), OutsideError('hub') when the hub cannot be reached.
 */
export async function fetchDictionary({ id, folder, revision }: HubDictionary, cacheDir: string, access: HubAccess = {}): Promise<string> {
  const root = join(cacheDir, id.replace('/', '--'), revision.replaceAll('/', '--'));
  const target = join(root, folder);
  const done = join(target, 'fetched.json');
  if (await readFile(done, 'utf8').then((text) => text !== '', () => false)) return target;
  const place = { repo: id, revision, ...access };
  try {
    const listed = await list(id, folder, place);
    const inside = (path: string): string | null => (folder === '' ? path : path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : null);
    const here = listed.filter(({ path }) => inside(path)?.includes('/') === false);
    if (!here.some(({ path }) => WEIGHTS.test(path))) throw noneHere(id, folder, listed);
    const files = here.filter(({ path }) => WEIGHTS.test(path) || CONFIGS.test(path));
    if (folder !== '') files.push(...(await above(id, dirname(folder), place)));
    for (const file of files) {
      await mkdir(join(root, dirname(file.path)), { recursive: true });
      await fetchFile(file, root, place);
    }
    await writeFile(`${done}.partial`, JSON.stringify({ id, folder, revision, files }, null, 2));
    await rename(`${done}.partial`, done);
    return target;
  } catch (cause) {
    if (cause instanceof CallerError || cause instanceof OutsideError) throw cause;
    const why = cause instanceof Error && cause.cause instanceof Error ? `${cause.message}: ${cause.cause.message}` : messageOf(cause);
    throw new OutsideError('hub', `cannot fetch ${id} from the Hugging Face hub (${why}). Without a network, give the path of a folder instead; running again goes on where this stopped`, { cause });
  }
}

type Place = { repo: string; revision: string } & HubAccess;

async function list(id: string, folder: string, place: Place, recursive = true): Promise<HubFile[]> {
  const files: HubFile[] = [];
  try {
    for await (const { type, path, size, lfs } of listFiles({ ...place, recursive, ...(folder === '' ? {} : { path: folder }) })) {
      if (type === 'file') files.push({ path, size: lfs?.size ?? size, sha256: lfs?.oid });
    }
  } catch (cause) {
    if (cause instanceof HubApiError && [401, 403, 404].includes(cause.statusCode)) {
      throw new CallerError('NOT_FOUND', `the hub has no ${folder === '' ? id : `folder ${folder} in ${id}`} at revision ${place.revision}, or keeps it private: check the id, or set HF_TOKEN`, { cause });
    }
    throw cause;
  }
  return files;
}

/** config.json of the folder above, which sparsify writes beside its dictionaries. */
async function above(id: string, folder: string, place: Place): Promise<HubFile[]> {
  const at = folder === '.' ? '' : folder;
  const wanted = at === '' ? 'config.json' : `${at}/config.json`;
  return (await list(id, at, place, false)).filter(({ path }) => path === wanted);
}

function noneHere(id: string, folder: string, listed: readonly HubFile[]): CallerError {
  const below = [...new Set(listed.filter(({ path }) => WEIGHTS.test(path)).map(({ path }) => dirname(path)))];
  const where = below.length === 0 ? '' : `; these folders do: ${below.slice(0, 12).join(', ')}${below.length > 12 ? ` and ${below.length - 12} more` : ''}. Name one as ${id}:${below[0]!}`;
  return new CallerError('UNSUPPORTED', `${id}${folder === '' ? '' : `:${folder}`} holds no dictionary of a format we read${where}`);
}
