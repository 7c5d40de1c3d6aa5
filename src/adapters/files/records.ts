import { createHash } from 'node:crypto';
import { CallerError } from '../../domain/errors.ts';
import { fileLines } from './lines.ts';
import { openIn, writeFully, writeWholeFile } from './wholeFile.ts';

/** Bytes gathered before a write. */
const FLUSH_BYTES = 1 << 18;

/** See Artefacts.writeRecords. */
export async function writeRecords<T>(path: string, records: AsyncIterable<T> | Iterable<T>): Promise<{ count: number; hash: string }> {
  return await writeWholeFile(path, async (file) => {
    const hash = createHash('sha256');
    let count = 0;
    let held: string[] = [];
    let heldChars = 0;
    const flush = async (): Promise<void> => {
      if (held.length === 0) return;
      const bytes = Buffer.from(`${held.join('\n')}\n`);
      held = [];
      heldChars = 0;
      hash.update(bytes);
      await writeFully(file, bytes);
    };
    for await (const record of records) {
      const line = JSON.stringify(record);
      held.push(line);
      heldChars += line.length;
      count++;
      if (heldChars >= FLUSH_BYTES) await flush();
    }
    await flush();
    return { count, hash: hash.digest('hex') };
  });
}

/** See Artefacts.appendRecords. A torn line that a crash left at the end is cut off first. */
export async function appendRecords<T>(path: string, records: readonly T[]): Promise<void> {
  if (records.length === 0) return;
  const file = await openIn(path, 'a+');
  try {
    const { size } = await file.stat();
    const last = Buffer.alloc(1);
    let keep = size;
    while (keep > 0) {
      await file.read(last, 0, 1, keep - 1);
      if (last[0] === 10) break;
      keep--;
    }
    if (keep < size) await file.truncate(keep);
    await writeFully(file, Buffer.from(records.map((record) => `${JSON.stringify(record)}\n`).join('')));
    await file.sync();
  } finally {
    await file.close();
  }
}

/** See Artefacts.readRecords. */
export async function* readRecords<T>(path: string, options: { optional?: boolean } = {}): AsyncGenerator<T, void, undefined> {
  try {
    for await (const line of fileLines(path)) {
      if (!line.ended) return; // torn by a crash while appending
      let value: T;
      try {
        value = JSON.parse(line.bytes.toString('utf8')) as T;
      } catch (cause) {
        throw new CallerError('STALE_OUTPUT', `${path}, line ${line.number}: expected one JSON value, found text that is none; delete the run's folder and run the stage again`, { cause });
      }
      yield value;
    }
  } catch (error) {
    if (!(error instanceof CallerError && error.code === 'NOT_FOUND')) throw error;
    if (options.optional !== true) throw new CallerError('NOT_FOUND', `${path} does not exist; run the stage that writes it first`, { cause: error });
  }
}
