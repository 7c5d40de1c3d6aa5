import { stat } from 'node:fs/promises';
import { isAbsolute, join, resolve } from 'node:path';
import { fetchModel } from './fetchModel.ts';

/** `organisation/name`, as the Hugging Face hub writes it. */
export function isHubId(source: string): boolean {
  return /^[\w.-]+\/[\w.-]+$/.test(source);
}

export async function isFolder(path: string): Promise<boolean> {
  return stat(path).then((found) => found.isDirectory(), () => false);
}

/**
 * Where the files of a model are, from its source as the catalog stores it: a folder, absolute or inside `home`, or a hub id,
 * fetched into `home`/hub and kept. Null when it is neither.
 */
export async function sourceFolder(source: string, home: string, accessToken: string | undefined): Promise<string | null> {
  const folder = resolve(home, source);
  if (await isFolder(folder)) return folder;
  if (isAbsolute(source) || !isHubId(source)) return null;
  return fetchModel(source, join(home, 'hub'), 'main', accessToken === undefined ? {} : { accessToken });
}
