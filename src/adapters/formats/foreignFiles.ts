import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { OutsideError, messageOf, type CallerError } from '../../domain/errors.ts';
import { badForeign } from './foreign.ts';

/** No config beside weights comes near this. */
const MAX_JSON = 4 << 20;
/** One write takes at most 2 GiB. */
const MAX_WRITE = 1 << 30;
let serial = 0;

/** A JSON object from a file. Throws BAD_DICTIONARY when it is missing, too large, or no JSON object. */
export async function readForeignJson(path: string): Promise<Record<string, unknown>> {
  let text: string;
  try {
    const { size } = await stat(path);
    if (size > MAX_JSON) throw badForeign(path, `${size} bytes; a config has at most ${MAX_JSON}`);
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw unreadable(path, cause);
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw badForeign(path, `no JSON: ${messageOf(cause)}`, cause);
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) throw badForeign(path, 'expected a JSON object at the top');
  return parsed as Record<string, unknown>;
}

/** What a failed open or read of a foreign file becomes: BAD_DICTIONARY where the file is missing, OutsideError where the disk failed. */
export function unreadable(path: string, cause: unknown): CallerError | OutsideError | Error {
  const { code } = cause as NodeJS.ErrnoException;
  if (cause instanceof Error && code === 'ENOENT') return badForeign(path, 'does not exist', cause);
  if (cause instanceof Error && code === 'EISDIR') return badForeign(path, 'is a folder, expected a file', cause);
  if (cause instanceof Error && typeof (cause as NodeJS.ErrnoException).syscall === 'string') return new OutsideError('disk', `cannot read ${path}: ${messageOf(cause)}`, { cause });
  return cause instanceof Error ? cause : new Error(String(cause));
}

/** Writes a file that appears whole or not at all: a temporary name, flushed, then renamed. Disk failures are OutsideError. */
export async function writeForeignFile(path: string, parts: Iterable<Uint8Array>): Promise<void> {
  const temporary = `${path}.${process.pid}-${serial++}.tmp`;
  try {
    await mkdir(dirname(path), { recursive: true });
    const file = await open(temporary, 'w');
    try {
      for (const part of parts) {
        for (let at = 0; at < part.byteLength; ) at += (await file.write(part, at, Math.min(MAX_WRITE, part.byteLength - at))).bytesWritten;
      }
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (cause) {
    await rm(temporary, { force: true });
    if (typeof (cause as NodeJS.ErrnoException).syscall !== 'string') throw cause;
    throw new OutsideError('disk', `cannot write ${path}: ${messageOf(cause)}`, { cause });
  }
}
