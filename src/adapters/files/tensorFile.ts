import { createHash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { endianness } from 'node:os';
import { invariant, OutsideError, messageOf } from '../../domain/errors.ts';
import { writeFully, writeWholeFile } from './wholeFile.ts';

export interface Tensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Why a tensor file cannot be used; callers turn it into the error of their noun. */
export class BadTensorFile extends Error {
  override readonly name = 'BadTensorFile';
}

const MAX_HEADER = 100 << 20; // the limit of the safetensors specification

/**
 * Writes tensors as safetensors (little-endian u64 header length, JSON header, row-major data), in the map's order, as
 * float32 or rounded to float16. Equal input gives equal bytes. Returns the sha-256 of the file.
 */
export async function writeTensorFile(path: string, tensors: ReadonlyMap<string, Tensor>, metadata: Readonly<Record<string, string>> = {}, dtype: 'float32' | 'float16' = 'float32'): Promise<string> {
  const size = dtype === 'float32' ? 4 : 2;
  const header: Record<string, unknown> = { __metadata__: { format: 'feature-catalog', ...metadata } };
  let offset = 0;
  for (const [name, { shape, data }] of tensors) {
    invariant(elements(shape) === data.length, `tensor ${name} has shape [${shape.join(', ')}] and ${data.length} elements`);
    header[name] = { dtype: dtype === 'float32' ? 'F32' : 'F16', shape, data_offsets: [offset, offset + data.length * size] };
    offset += data.length * size;
  }
  let text = JSON.stringify(header);
  text += ' '.repeat((8 - (Buffer.byteLength(text) % 8)) % 8); // data starts aligned
  const head = Buffer.alloc(8 + Buffer.byteLength(text));
  head.writeBigUInt64LE(BigInt(head.length - 8), 0);
  head.write(text, 8);
  return await writeWholeFile(path, async (file) => {
    const hash = createHash('sha256').update(head);
    await writeFully(file, head);
    for (const { data } of tensors.values()) {
      const bytes = dtype === 'float32' ? littleEndian(data) : littleEndian16(data);
      hash.update(bytes);
      await writeFully(file, bytes);
    }
    return hash.digest('hex');
  });
}

/**
 * Reads a safetensors file of float32 or float16 tensors, as float32. Null when there is no file; throws BadTensorFile when it is truncated or
 * malformed. `hash` is the sha-256 of its bytes.
 */
export async function readTensorFile(path: string): Promise<{ tensors: Map<string, Tensor>; metadata: Record<string, string>; hash: string } | null> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new OutsideError('disk', `cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
  try {
    const { size } = await file.stat();
    const hash = createHash('sha256');
    const prefix = await readFully(file, 8, size, path);
    const headerLength = Number(prefix.readBigUInt64LE(0));
    if (headerLength > MAX_HEADER) throw new BadTensorFile(`${path}: header length ${headerLength} is beyond the ${MAX_HEADER} bytes of the safetensors format; the file is no safetensors file`);
    const headerBytes = await readFully(file, headerLength, size, path);
    hash.update(prefix).update(headerBytes);
    const { entries, metadata } = parseHeader(headerBytes, path);
    const tensors = new Map<string, Tensor>();
    let at = 0;
    for (const { name, dtype, shape, begin, end } of entries) {
      const expected = elements(shape) * (dtype === 'F32' ? 4 : 2);
      if (begin !== at || end - begin !== expected) {
        throw new BadTensorFile(`${path}: tensor ${name} of shape [${shape.join(', ')}] spans bytes ${begin} to ${end}, expected ${at} to ${at + expected}`);
      }
      at = end;
      const bytes = await readFully(file, end - begin, size, path);
      hash.update(bytes);
      // readFully allocates its own buffer, so the view below is aligned and owns its memory.
      tensors.set(name, { shape, data: dtype === 'F32' ? fromLittleEndian(bytes) : fromLittleEndian16(bytes) });
    }
    if (size !== 8 + headerLength + at) throw new BadTensorFile(`${path}: ${size} bytes, expected ${8 + headerLength + at}`);
    return { tensors, metadata, hash: hash.digest('hex') };
  } finally {
    await file.close();
  }
}

interface Entry {
  readonly name: string;
  readonly dtype: 'F32' | 'F16';
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

function parseHeader(bytes: Buffer, path: string): { entries: Entry[]; metadata: Record<string, string> } {
  let header: Record<string, unknown>;
  try {
    header = JSON.parse(bytes.toString('utf8')) as Record<string, unknown>;
  } catch (cause) {
    throw new BadTensorFile(`${path}: the header is no JSON`, { cause });
  }
  const entries: Entry[] = [];
  let metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') {
      metadata = value as Record<string, string>;
      continue;
    }
    const { dtype, shape, data_offsets: offsets } = value as { dtype?: unknown; shape?: unknown; data_offsets?: unknown };
    if (dtype !== 'F32' && dtype !== 'F16') throw new BadTensorFile(`${path}: tensor ${name} is ${String(dtype)}, expected F32 or F16`);
    if (!isSizes(shape) || !isSizes(offsets) || offsets.length !== 2) throw new BadTensorFile(`${path}: tensor ${name} has no valid shape and data_offsets`);
    entries.push({ name, dtype, shape, begin: offsets[0]!, end: offsets[1]! });
  }
  return { entries: entries.sort((a, b) => a.begin - b.begin || a.end - b.end), metadata };
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

async function readFully(file: FileHandle, length: number, size: number, path: string): Promise<Buffer> {
  if (length > size) throw new BadTensorFile(`${path}: truncated: ${size} bytes, but a part of ${length} bytes is announced`);
  const bytes = Buffer.from(new ArrayBuffer(length));
  for (let at = 0; at < length; ) {
    const { bytesRead } = await file.read(bytes, at, length - at);
    if (bytesRead === 0) throw new BadTensorFile(`${path}: truncated at ${size} bytes`);
    at += bytesRead;
  }
  return bytes;
}

function elements(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

function littleEndian(data: Float32Array): Buffer {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return endianness() === 'LE' ? bytes : Buffer.from(bytes).swap32();
}

function fromLittleEndian(bytes: Buffer): Float32Array {
  if (endianness() === 'BE') bytes.swap32();
  return new Float32Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength / 4);
}

function littleEndian16(data: Float32Array): Buffer {
  const half = Float16Array.from(data);
  const bytes = Buffer.from(half.buffer, half.byteOffset, half.byteLength);
  return endianness() === 'LE' ? bytes : bytes.swap16();
}

function fromLittleEndian16(bytes: Buffer): Float32Array {
  if (endianness() === 'BE') bytes.swap16();
  return Float32Array.from(new Float16Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength / 2));
}
