import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createGunzip, createGzip } from 'node:zlib';
import { CallerError, OutsideError, messageOf } from '../../domain/errors.ts';
import type { BatchContent, BatchFiles, BatchLine } from '../../ports/BatchFiles.ts';
import { writeFully, writeWholeFile } from './wholeFile.ts';

/** Characters gathered before they are compressed. */
const FLUSH_CHARS = 1 << 16;
const GZIP_OS = 9;
const UNKNOWN_OS = 255;
/** Characters of the longest line that is read. */
const MOST_CHARS = 1 << 26;
/** Thrown to leave a file as it is: what would be written is there already, or nothing is. */
const KEEP = new Error('kept');

/** The BatchFiles port on the folder `root`. */
export function batchFiles(root: string): BatchFiles {
  return {
    write: (path, lines, known) => write(join(root, path), lines, known),
    read: (path) => read(join(root, path)),
    list: (folder) => list(join(root, folder)),
    has: (path) => stat(join(root, path)).then((found) => found.isFile(), () => false),
    remove: (path) => rm(join(root, path), { force: true }),
  };
}

async function write(path: string, lines: AsyncIterable<string> | Iterable<string>, known: string | undefined): Promise<BatchContent> {
  let content: BatchContent | undefined;
  try {
    return await writeWholeFile(path, async (file) => {
      const hash = createHash('sha256');
      const packed = path.endsWith('.gz') ? packer((bytes) => writeFully(file, bytes)) : null;
      let count = 0;
      let held = '';
      const flush = async (): Promise<void> => {
        const bytes = Buffer.from(held);
        held = '';
        hash.update(bytes);
        await (packed === null ? writeFully(file, bytes) : packed.add(bytes));
      };
      for await (const line of lines) {
        held += `${line}\n`;
        count++;
        if (held.length >= FLUSH_CHARS) await flush();
      }
      await flush();
      await packed?.end();
      content = { sha256: hash.digest('hex'), lines: count };
      if (count === 0 || content.sha256 === known) throw KEEP;
      return content;
    });
  } catch (error) {
    if (error === KEEP) return content!;
    throw error;
  }
}

/** One gzip member: no name, no time, and no word of the machine in its header. */
function packer(sink: (bytes: Uint8Array) => Promise<void>): { add(bytes: Uint8Array): Promise<void>; end(): Promise<void> } {
  const gzip = createGzip({ level: 6 });
  let first = true;
  const done = (async () => {
    for await (const chunk of gzip as AsyncIterable<Buffer>) {
      if (first) chunk[GZIP_OS] = UNKNOWN_OS;
      first = false;
      await sink(chunk);
    }
  })();
  // Thrown again by end(), or by the add() that finds the stream closed.
  done.catch((error: unknown) => gzip.destroy(error instanceof Error ? error : new Error(messageOf(error))));
  return {
    async add(bytes) {
      if (!gzip.write(bytes)) await Promise.race([once(gzip, 'drain'), done]);
    },
    async end() {
      gzip.end();
      await done;
    },
  };
}

async function* read(path: string): AsyncGenerator<BatchLine, void, undefined> {
  const file = createReadStream(path, { highWaterMark: 1 << 18 });
  const source = path.endsWith('.gz') ? file.pipe(createGunzip()) : file;
  if (source !== file) file.on('error', (error) => source.destroy(error));
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let number = 0;
  // Pieces of a line that has not ended.
  let held: string[] = [];
  let length = 0;
  const end = (last: string): BatchLine => {
    const text = held.length === 0 ? last : held.join('') + last;
    held = [];
    length = 0;
    return { place: `${path}:${++number}`, text };
  };
  try {
    for await (const chunk of source as AsyncIterable<Buffer>) {
      const lines = decoder.decode(chunk, { stream: true }).split('\n');
      const rest = lines.pop()!;
      for (const line of lines) yield end(line);
      if (rest === '') continue;
      held.push(rest);
      length += rest.length;
      if (length > MOST_CHARS) throw new CallerError('BAD_INPUT', `${path}:${number + 1}: expected a line of at most ${MOST_CHARS} characters`);
    }
    const rest = end(decoder.decode());
    if (rest.text !== '') yield rest;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return;
    if (code?.startsWith('Z_') === true) throw new CallerError('BAD_INPUT', `${path}: after line ${number} expected more gzip data (${messageOf(error)}): the file is cut short or damaged`, { cause: error });
    if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') throw new CallerError('BAD_INPUT', `${path}: after line ${number} expected UTF-8 text`, { cause: error });
    if (code === undefined || error instanceof CallerError) throw error;
    throw new OutsideError('disk', `cannot read ${path}: ${messageOf(error)}`, { cause: error });
  } finally {
    file.destroy();
  }
}

async function list(folder: string): Promise<readonly string[]> {
  const order = new Intl.Collator('en', { numeric: true });
  try {
    return (await readdir(folder)).filter((name) => !name.startsWith('.') && !name.endsWith('.tmp')).sort(order.compare);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw new OutsideError('disk', `cannot read ${folder}: ${messageOf(cause)}`, { cause });
  }
}
