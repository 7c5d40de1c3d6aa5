import { readFile } from 'node:fs/promises';
import { CallerError, OutsideError, messageOf } from '../../domain/errors.ts';

/** Throws OutsideError for a file that is there and cannot be read. */
export async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new OutsideError('disk', `cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
}

/** Throws BAD_MODEL_FILE unless it is JSON and an object. */
export function parseObject(file: Buffer, path: string): object {
  try {
    const value: unknown = JSON.parse(file.toString('utf8'));
    if (typeof value === 'object' && value !== null) return value;
  } catch (cause) {
    throw new CallerError('BAD_MODEL_FILE', `${path} is not JSON: ${messageOf(cause)}`, { cause });
  }
  throw new CallerError('BAD_MODEL_FILE', `${path}: expected a JSON object`);
}
