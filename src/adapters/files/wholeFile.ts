import { mkdir, open, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { OutsideError, messageOf } from '../../domain/errors.ts';

let serial = 0;

/**
 * Writes a file that appears whole or not at all: `fill` writes to a temporary name beside `path`, the bytes are flushed
 * to disk, then the name is taken by rename. What `fill` throws is rethrown (disk failures are OutsideError) and the temporary file removed. Missing folders
 * are made.
 */
export async function writeWholeFile<T>(path: string, fill: (file: FileHandle) => Promise<T>): Promise<T> {
  const temporary = `${path}.${process.pid}-${serial++}.tmp`;
  const file = await openIn(temporary, 'w', path);
  let done = false;
  try {
    const result = await fill(file);
    await onDisk(path, async () => {
      await file.sync();
      await file.close();
      await rename(temporary, path);
    });
    done = true;
    await syncFolder(dirname(path));
    return result;
  } finally {
    if (!done) {
      await file.close().catch(() => undefined);
      await rm(temporary, { force: true });
    }
  }
}

/** Opens `name`, making its folder where that is missing; `path` is what an error calls it. */
export async function openIn(name: string, flags: string, path = name): Promise<FileHandle> {
  try {
    await mkdir(dirname(name), { recursive: true });
    return await open(name, flags);
  } catch (cause) {
    throw new OutsideError('disk', `cannot write ${path}: ${messageOf(cause)}`, { cause });
  }
}

/** Flushes a folder's entries, so that a rename in it survives a power cut. Platforms that cannot are let be. */
export async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    // Windows refuses to open folders; a crash of the process alone loses nothing there.
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EISDIR' && code !== 'EPERM' && code !== 'EINVAL' && code !== 'EACCES') {
      throw new OutsideError('disk', `cannot flush ${folder}: ${messageOf(error)}`, { cause: error });
    }
  }
}

/** Writes all of `bytes` at the file's current position. */
export async function writeFully(file: FileHandle, bytes: Uint8Array): Promise<void> {
  await onDisk('a file', async () => {
    for (let at = 0; at < bytes.byteLength; ) {
      const { bytesWritten } = await file.write(bytes, at, bytes.byteLength - at);
      at += bytesWritten;
    }
  });
}

/** Failures of the disk (full, gone, no permission) as OutsideError. */
async function onDisk(what: string, action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (cause) {
    throw new OutsideError('disk', `cannot write ${what}: ${messageOf(cause)}`, { cause });
  }
}
