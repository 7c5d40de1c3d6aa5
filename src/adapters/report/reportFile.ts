import { mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { OutsideError, messageOf } from '../../domain/errors.ts';

/** Writes text to a temporary name, then renames: a reader never sees half a report. */
export async function writeReportFile(path: string, text: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(`${path}.${process.pid}.tmp`, text);
    await rename(`${path}.${process.pid}.tmp`, path);
  } catch (cause) {
    throw new OutsideError('disk', `cannot write ${path}: ${messageOf(cause)}`, { cause });
  }
}
