import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HubApiError, listFiles } from '@huggingface/hub';
import { CallerError, OutsideError, messageOf } from '../../domain/errors.ts';
import { chooseFiles } from './chooseFiles.ts';
import type { HubFile } from './chooseFiles.ts';
import { fetchFile } from './fetchFile.ts';

/** Where and as whom to ask; the defaults are huggingface.co and nobody. */
export interface HubAccess {
  readonly hubUrl?: string;
  /** Never printed. */
  readonly accessToken?: string;
}

const ID = /^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*$|^[A-Za-z0-9][\w.-]*$/;
const REVISION = /^[\w.-]+(\/[\w.-]+)*$/;
/** Written last: its presence says that every file of the folder is whole. */
const DONE = 'fetched.json';

/**
 * Fetches a model from the Hugging Face hub into `cacheDir` and returns its folder, ready for openSubjectModel and
 * openTokenizer. A folder that is already whole is returned without asking the network. A fetch that was cut off goes on where
 * it stopped. Files carry a temporary name until they are whole, large ones are checked against the hub's sha-256.
 *
 * Throws BAD_INPUT for a malformed id, NOT_FOUND when the hub has no such model or revision (or keeps it private),
 * UNSUPPORTED when it has no safetensors, OutsideError('hub') when the hub cannot be reached or answers with an error.
 */
export async function fetchModel(id: string, cacheDir: string, revision = 'main', access: HubAccess = {}): Promise<string> {
  if (!ID.test(id)) throw new CallerError('BAD_INPUT', `"${id}" is no hub id: expected OWNER/NAME, e.g. EleutherAI/pythia-70m-deduped`);
  if (!REVISION.test(revision) || revision.includes('..')) throw new CallerError('BAD_INPUT', `"${revision}" is no revision: expected a branch, tag or commit`);
  const folder = join(cacheDir, id.replace('/', '--'), revision.replaceAll('/', '--'));
  if (await isWhole(folder)) return folder;

  const place = { repo: id, revision, ...access };
  const files = chooseFiles(await list(id, place), id);
  await mkdir(folder, { recursive: true });
  for (const file of files) {
    try {
      await fetchFile(file, folder, place);
    } catch (cause) {
      throw outside(id, cause);
    }
  }
  const temporary = join(folder, `${DONE}.partial`);
  await writeFile(temporary, JSON.stringify({ id, revision, files }, null, 2));
  await rename(temporary, join(folder, DONE));
  return folder;
}

async function isWhole(folder: string): Promise<boolean> {
  try {
    JSON.parse(await readFile(join(folder, DONE), 'utf8'));
    return true;
  } catch (cause) {
    if (cause instanceof SyntaxError) await rm(join(folder, DONE));
    return false;
  }
}

async function list(id: string, place: { repo: string; revision: string } & HubAccess): Promise<HubFile[]> {
  const files: HubFile[] = [];
  try {
    for await (const { type, path, size, lfs } of listFiles(place)) {
      if (type === 'file') files.push({ path, size: lfs?.size ?? size, sha256: lfs?.oid });
    }
  } catch (cause) {
    if (cause instanceof HubApiError && [401, 403, 404].includes(cause.statusCode)) {
      throw new CallerError(
        'NOT_FOUND',
        `the hub has no model ${id} at revision ${place.revision}, or keeps it private: check the id, or set HF_TOKEN`,
        { cause },
      );
    }
    throw outside(id, cause);
  }
  return files;
}

function outside(id: string, cause: unknown): Error {
  if (cause instanceof CallerError || cause instanceof OutsideError) return cause;
  const why = cause instanceof Error && cause.cause instanceof Error ? `${cause.message}: ${cause.cause.message}` : messageOf(cause);
  return new OutsideError(
    'hub',
    `cannot fetch ${id} from the Hugging Face hub (${why}). Without a network, give the path of a model folder instead; ` +
      'running again goes on where this stopped',
    { cause },
  );
}
