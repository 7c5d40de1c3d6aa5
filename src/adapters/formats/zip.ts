import { open, type FileHandle } from 'node:fs/promises';
import { promisify } from 'node:util';
import { crc32, inflateRaw } from 'node:zlib';
import yauzl from 'yauzl';
import { CallerError, OutsideError, messageOf } from '../../domain/errors.ts';
import { badForeign } from './foreign.ts';
import { unreadable } from './foreignFiles.ts';

/** A zip archive whose directory has been read and checked; nothing is ever unpacked to disk. */
export interface Zip {
  readonly path: string;
  /** Names of the files in it, in the order of its directory. */
  readonly names: readonly string[];
  /** Announced size in bytes of a file in it. */
  sizeOf(name: string): number;
  /** Its bytes in a buffer of their own, once size and CRC-32 agree with the directory. */
  read(name: string): Promise<Buffer>;
  close(): Promise<void>;
}

export interface ZipLimits {
  /** Files in the archive. */
  readonly maxEntries?: number;
  /** Sum of what all files unpack to. */
  readonly maxBytes?: number;
}

const MAX_ENTRIES = 20_000;
const MAX_BYTES = 32 * 2 ** 30;
/** The archive may unpack to this many times its own size… */
const MAX_RATIO = 100;
/** …plus this: short runs of zeros compress better than weights do. */
const RATIO_SLACK = 16 << 20;
const ENCRYPTED = 1;
/** Reads and checksums take at most 2 GiB at once. */
const CHUNK = 1 << 30;
const inflate = promisify(inflateRaw);

/**
 * Opens an archive and reads its directory. Throws BAD_DICTIONARY when it is truncated, encrypted, not a zip, holds names that
 * leave the folder or come twice, or would unpack to more than the limits allow (zip bombs).
 */
export async function openZip(path: string, { maxEntries = MAX_ENTRIES, maxBytes = MAX_BYTES }: ZipLimits = {}): Promise<Zip> {
  const file = await open(path, 'r').catch((cause: unknown) => { throw unreadable(path, cause); });
  try {
    const { size } = await file.stat();
    const reader = new CheckedReader(file, size);
    const zip = await directory(reader, size, path);
    const entries = await list(zip, reader, path, maxEntries);
    const allowed = Math.min(maxBytes, size * MAX_RATIO + RATIO_SLACK);
    let total = 0;
    for (const entry of entries.values()) {
      total += entry.uncompressedSize;
      if (total > allowed) {
        throw badForeign(path, `unpacks to more than ${allowed} bytes (the archive has ${size}); it looks like a zip bomb, so nothing was unpacked. Fetch it again from a source you trust`);
      }
    }
    return {
      path,
      names: [...entries.keys()],
      sizeOf: (name) => entryOf(entries, name, path).uncompressedSize,
      read: async (name) => await contents(file, zip, reader, entryOf(entries, name, path), path),
      close: async () => await file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/**
 * Serves yauzl from the open file. With its own reader, an offset no file can have escapes as an uncaught exception; here that
 * is an error like others, and whatever yauzl throws while it parses rejects `failure`.
 */
class CheckedReader extends yauzl.RandomAccessReader {
  readonly #file: FileHandle;
  readonly #size: number;
  readonly #failure = Promise.withResolvers<never>();
  /** Never resolves. */
  readonly failure: Promise<never> = this.#failure.promise;

  constructor(file: FileHandle, size: number) {
    super();
    this.#file = file;
    this.#size = size;
    this.failure.catch(() => undefined); // raced against by whoever waits; nobody may be waiting
  }

  override read(buffer: Buffer, offset: number, length: number, position: number, callback: (error: Error | null, read?: number) => void): void {
    if (!Number.isSafeInteger(position) || position < 0 || position + length > this.#size) {
      callback(new Error(`it points to bytes ${position} to ${position + length} of a file of ${this.#size}`));
      return;
    }
    void this.#answer(buffer.subarray(offset, offset + length), position, callback);
  }

  async #answer(into: Buffer, position: number, callback: (error: Error | null, read?: number) => void): Promise<void> {
    const failed = await readAll(this.#file, into, position).then(() => null, (error: Error) => error);
    try {
      if (failed === null) callback(null, into.length);
      else callback(failed);
    } catch (error) {
      this.#failure.reject(error);
    }
  }
}

/** What yauzl answers through `start`, or throws on the way. */
async function answer<T>(reader: CheckedReader, path: string, start: (resolve: (value: T) => void, reject: (error: Error) => void) => void): Promise<T> {
  return await Promise.race([reader.failure, new Promise<T>(start)]).catch((error: unknown) => {
    throw damaged(path, error instanceof Error ? error : new Error(String(error)));
  });
}

async function directory(reader: CheckedReader, size: number, path: string): Promise<yauzl.ZipFile> {
  const options = { lazyEntries: true, autoClose: false, strictFileNames: true, decodeStrings: true, validateEntrySizes: true };
  return await answer(reader, path, (resolve, reject) => {
    yauzl.fromRandomAccessReader(reader, size, options, (error, zip) => (error ? reject(error) : resolve(zip)));
  });
}

async function list(zip: yauzl.ZipFile, reader: CheckedReader, path: string, maxEntries: number): Promise<Map<string, yauzl.Entry>> {
  if (zip.entryCount > maxEntries) throw badForeign(path, `announces ${zip.entryCount} files; expected at most ${maxEntries}`);
  const entries = new Map<string, yauzl.Entry>();
  await answer<void>(reader, path, (resolve, reject) => {
    zip.on('error', reject);
    zip.on('end', resolve);
    zip.on('entry', (entry: yauzl.Entry) => {
      const { fileName: name } = entry;
      const wrong = entry.generalPurposeBitFlag & ENCRYPTED ? `${name} is encrypted; write the archive without a password`
        : entries.has(name) ? `holds ${name} twice, so what it says depends on the reader`
        : entry.compressionMethod !== 0 && entry.compressionMethod !== 8 ? `${name} is packed by method ${entry.compressionMethod}; expected stored (0) or deflated (8)`
        : null;
      if (wrong !== null) return reject(badForeign(path, wrong));
      if (!name.endsWith('/')) entries.set(name, entry);
      zip.readEntry();
    });
    zip.readEntry();
  });
  return entries;
}

async function contents(file: FileHandle, zip: yauzl.ZipFile, reader: CheckedReader, entry: yauzl.Entry, path: string): Promise<Buffer> {
  const { fileName: name, compressedSize, uncompressedSize: size } = entry;
  // Bounds of the packed bytes are checked against the file before this calls back.
  const { fileDataStart: start, fileName: inner } = await answer<yauzl.LocalFileHeader>(reader, path, (resolve, reject) => {
    zip.readLocalFileHeader(entry, (error, header) => (error ? reject(error) : resolve(header)));
  });
  // Names have no checksum, but each is written twice.
  if (!inner.equals(entry.fileNameRaw)) throw badForeign(path, `calls a file ${name} in its directory and ${JSON.stringify(inner.toString('latin1').slice(0, 80))} where it lies; the file is damaged, fetch it again`);
  const packed = Buffer.from(new ArrayBuffer(compressedSize));
  await readAll(file, packed, start).catch((error: unknown) => { throw error instanceof Truncated ? damaged(path, error) : unreadable(path, error); });
  let bytes = packed;
  if (entry.compressionMethod === 8) {
    bytes = await inflate(packed, { maxOutputLength: Math.max(size, 1) }).catch((cause: unknown) => {
      throw badForeign(path, `${name} does not unpack to the ${size} bytes its directory announces (${messageOf(cause)}); the file is damaged or made to mislead, fetch it again`, cause);
    });
  }
  if (bytes.length !== size) throw badForeign(path, `${name} unpacks to ${bytes.length} bytes, its directory announces ${size}; fetch it again`);
  let sum = 0;
  for (let at = 0; at < size; at += CHUNK) sum = crc32(bytes.subarray(at, at + CHUNK), sum);
  if (sum !== entry.crc32) throw badForeign(path, `${name} has checksum ${sum.toString(16)}, its directory says ${entry.crc32.toString(16)}; the file is damaged, fetch it again`);
  return bytes;
}

class Truncated extends Error {
  override readonly name = 'Truncated';
}

async function readAll(file: FileHandle, into: Buffer, position: number): Promise<void> {
  for (let at = 0; at < into.length; ) {
    const { bytesRead } = await file.read(into, at, Math.min(CHUNK, into.length - at), position + at);
    if (bytesRead === 0) throw new Truncated('the file ends early');
    at += bytesRead;
  }
}

function entryOf(entries: ReadonlyMap<string, yauzl.Entry>, name: string, path: string): yauzl.Entry {
  const entry = entries.get(name);
  if (entry === undefined) throw badForeign(path, `the archive has no ${name}; it has ${[...entries.keys()].slice(0, 20).join(', ') || 'no files'}`);
  return entry;
}

function damaged(path: string, cause: Error): Error {
  if (cause instanceof CallerError || cause instanceof OutsideError) return cause;
  if (typeof (cause as NodeJS.ErrnoException).syscall === 'string') return unreadable(path, cause);
  return badForeign(path, `cannot be read as a zip archive: ${cause.message}. It is truncated, damaged or of another format; fetch it again`, cause);
}
