import { createHash } from 'node:crypto';
import { open, readFile, type FileHandle } from 'node:fs/promises';
import { endianness } from 'node:os';
import { CallerError, invariant, messageOf } from '../../domain/errors.ts';
import type { TokenRows } from '../../ports/TokenRows.ts';
import { writeFully, writeWholeFile } from './wholeFile.ts';

/** `<path>.json` beside the ids at `<path>`. */
interface Header {
  readonly formatVersion: 1;
  readonly dtype: 'uint16' | 'uint32';
  readonly rows: number;
  readonly cols: number;
  readonly maxId: number;
  readonly tokenizerHash: string;
  readonly hash: string;
}

export interface TokenRowsShape {
  readonly cols: number;
  readonly tokenizerHash: string;
  /** Every id is below this; up to 65536 the ids take two bytes each, else four. */
  readonly vocabSize: number;
}

/** Most reads in flight for one call of `read`. */
const READS_AT_ONCE = 32;

/**
 * Writes rows as they come (each chunk holds whole rows, row-major) to `path`, little-endian ids, and the header to
 * `path`.json; bounded memory. The header appears last: a file without one is unfinished.
 */
export async function writeTokenRows(path: string, shape: TokenRowsShape, chunks: AsyncIterable<Int32Array> | Iterable<Int32Array>): Promise<{ rows: number; hash: string }> {
  const { cols, tokenizerHash, vocabSize } = shape;
  const dtype = vocabSize <= 65536 ? 'uint16' : 'uint32';
  const header = await writeWholeFile(path, async (file): Promise<Header> => {
    const hash = createHash('sha256');
    let rows = 0;
    let maxId = 0;
    for await (const chunk of chunks) {
      invariant(chunk.length % cols === 0, `${chunk.length} ids are no whole rows of ${cols}`);
      for (const id of chunk) {
        invariant(id >= 0 && id < vocabSize, `token id ${id} of a vocabulary of ${vocabSize}`);
        if (id > maxId) maxId = id;
      }
      const bytes = encodeIds(chunk, dtype);
      hash.update(bytes);
      await writeFully(file, bytes);
      rows += chunk.length / cols;
    }
    hash.update(`${dtype} ${rows} ${cols}`);
    return { formatVersion: 1, dtype, rows, cols, maxId, tokenizerHash, hash: hash.digest('hex') };
  });
  await writeWholeFile(`${path}.json`, (file) => writeFully(file, Buffer.from(`${JSON.stringify(header, null, 2)}\n`)));
  return { rows: header.rows, hash: header.hash };
}

/** Opens what writeTokenRows wrote. Throws NOT_FOUND, or BAD_INPUT when header and ids do not fit together. */
export async function openTokenRows(path: string): Promise<TokenRows> {
  const header = await readHeader(path);
  const { rows, cols, dtype, maxId } = header;
  const width = dtype === 'uint16' ? 2 : 4;
  const file = await open(path, 'r').catch((cause: unknown) => {
    throw new CallerError('NOT_FOUND', `token file ${path} cannot be opened (${messageOf(cause)}); run the tokenise stage again`, { cause });
  });
  const { size } = await file.stat();
  if (size !== rows * cols * width) {
    await file.close();
    throw new CallerError('BAD_INPUT', `token file ${path} has ${size} bytes, expected ${rows * cols * width} for ${rows} rows of ${cols} ${dtype} ids; delete it and run the tokenise stage again`);
  }
  const read = async (indices: ArrayLike<number>): Promise<Int32Array> => {
    const out = new Int32Array(indices.length * cols);
    // Neighbouring rows are read together.
    const spans: { at: number; row: number; count: number }[] = [];
    for (let i = 0; i < indices.length; i++) {
      const row = indices[i]!;
      invariant(Number.isSafeInteger(row) && row >= 0 && row < rows, `row ${row} of ${rows}`);
      const last = spans.at(-1);
      if (last !== undefined && row === last.row + last.count) last.count++;
      else spans.push({ at: i, row, count: 1 });
    }
    for (let first = 0; first < spans.length; first += READS_AT_ONCE) {
      await Promise.all(
        spans.slice(first, first + READS_AT_ONCE).map(async ({ at, row, count }) => {
          const bytes = await readSpan(file, row * cols * width, count * cols * width, path);
          decodeIds(bytes, dtype, out.subarray(at * cols, (at + count) * cols));
        }),
      );
    }
    for (const id of out) {
      if (id > maxId) throw new CallerError('BAD_INPUT', `token file ${path} holds id ${id}, its header says at most ${maxId}; delete it and run the tokenise stage again`);
    }
    return out;
  };
  return { rows, cols, hash: header.hash, tokenizerHash: header.tokenizerHash, read, close: () => file.close() };
}

async function readHeader(path: string): Promise<Header> {
  let header: Partial<Header>;
  try {
    header = JSON.parse(await readFile(`${path}.json`, 'utf8')) as Partial<Header>;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new CallerError('NOT_FOUND', `token file ${path}: its header ${path}.json does not exist; run the tokenise stage first`, { cause });
    }
    throw new CallerError('BAD_INPUT', `token file ${path}: its header is no JSON (${messageOf(cause)}); run the tokenise stage again`, { cause });
  }
  const { formatVersion, dtype, rows, cols, maxId, tokenizerHash, hash } = header;
  if (formatVersion !== 1) throw new CallerError('BAD_INPUT', `token file ${path}: expected formatVersion 1, found ${JSON.stringify(formatVersion)}`);
  const whole = (value: unknown, least: number): value is number => Number.isSafeInteger(value) && (value as number) >= least;
  if ((dtype !== 'uint16' && dtype !== 'uint32') || !whole(rows, 0) || !whole(cols, 1) || !whole(maxId, 0) || typeof tokenizerHash !== 'string' || typeof hash !== 'string') {
    throw new CallerError('BAD_INPUT', `token file ${path}: the header must give dtype, rows, cols, maxId, tokenizerHash and hash; found ${JSON.stringify(header)}`);
  }
  return { formatVersion, dtype, rows, cols, maxId, tokenizerHash, hash };
}

async function readSpan(file: FileHandle, position: number, length: number, path: string): Promise<Buffer> {
  const bytes = Buffer.from(new ArrayBuffer(length));
  for (let at = 0; at < length; ) {
    const { bytesRead } = await file.read(bytes, at, length - at, position + at);
    if (bytesRead === 0) throw new CallerError('BAD_INPUT', `token file ${path} ends early; it was cut while open`);
    at += bytesRead;
  }
  return bytes;
}

function encodeIds(ids: Int32Array, dtype: Header['dtype']): Buffer {
  const typed = dtype === 'uint16' ? Uint16Array.from(ids) : Uint32Array.from(ids);
  const bytes = Buffer.from(typed.buffer);
  swapToHost(bytes, dtype);
  return bytes;
}

function decodeIds(bytes: Buffer, dtype: Header['dtype'], out: Int32Array): void {
  swapToHost(bytes, dtype);
  const { buffer, byteOffset } = bytes;
  out.set(dtype === 'uint16' ? new Uint16Array(buffer, byteOffset, out.length) : new Uint32Array(buffer, byteOffset, out.length));
}

/** Little-endian to the host's order, or back, in place. */
function swapToHost(bytes: Buffer, dtype: Header['dtype']): void {
  if (endianness() === 'LE') return;
  if (dtype === 'uint16') bytes.swap16();
  else bytes.swap32();
}
