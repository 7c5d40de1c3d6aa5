import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { downloadFile } from '@huggingface/hub';
import { OutsideError } from '../../domain/errors.ts';
import type { HubFile } from './chooseFiles.ts';

/** Fetches one file into the folder, going on from NAME.partial where there is one. Throws OutsideError('hub'). */
export async function fetchFile(
  file: HubFile,
  folder: string,
  place: { repo: string; revision: string; hubUrl?: string; accessToken?: string },
): Promise<void> {
  const target = join(folder, file.path);
  if ((await sizeOf(target)) === file.size) return;
  const partial = `${target}.partial`;
  let have = (await sizeOf(partial)) ?? 0;
  if (have > file.size) {
    await rm(partial);
    have = 0;
  }
  if (have < file.size || file.size === 0) {
    const blob = await downloadFile({ ...place, path: file.path });
    if (blob === null) throw new OutsideError('hub', `${place.repo}: the hub lists ${file.path} but does not have it`);
    // The rest only: the blob asks the server for the range of a slice.
    const rest = have === 0 ? blob : blob.slice(have, file.size);
    await pipeline(Readable.fromWeb(rest.stream() as Parameters<typeof Readable.fromWeb>[0]), createWriteStream(partial, { flags: 'a' }));
  }
  const size = await sizeOf(partial);
  if (size !== file.size) {
    // Shorter is worth keeping for the next try; longer is not.
    if (size !== undefined && size > file.size) await rm(partial);
    throw new OutsideError('hub', `${place.repo}/${file.path}: expected ${file.size} bytes, got ${size ?? 0}`);
  }
  if (file.sha256 !== undefined && (await sha256(partial)) !== file.sha256) {
    await rm(partial);
    throw new OutsideError('hub', `${place.repo}/${file.path}: its sha-256 is not the one the hub states`);
  }
  await rename(partial, target);
}

async function sizeOf(path: string): Promise<number | undefined> {
  return stat(path).then((found) => found.size, () => undefined);
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 4 << 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
