import { createHash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { basename } from 'node:path';
import { CallerError, OutsideError, messageOf } from '../../domain/errors.ts';
import { decodeInto, headerLength, parseHeader, type TensorLocation } from '../../lm/safetensors.ts';
import { badForeign, type ForeignTensor } from './foreign.ts';

export interface SafetensorsFile {
  readonly tensors: ReadonlyMap<string, ForeignTensor>;
  /** Type each tensor has in the file, by name. */
  readonly dtypes: ReadonlyMap<string, string>;
  readonly metadata: Readonly<Record<string, string>>;
  /** sha-256 of the file. */
  readonly sha256: string;
}

interface Entry extends Omit<TensorLocation, 'dtype'> {
  readonly name: string;
  readonly dtype: TensorLocation['dtype'] | 'F64';
}

/** Bytes decoded at a time. A multiple of every element size. */
const CHUNK = 16 << 20;

/**
 * Reads every tensor of a safetensors file somebody else wrote (github.com/huggingface/safetensors, "Format"). F32, F16 and
 * BF16 are exact; F64 is rounded to float32. Throws NOT_FOUND when there is no such file, and BAD_DICTIONARY when it is
 * truncated, its header does not describe its bytes (holes, overlaps, bytes left over), a tensor has another type, or a
 * value is not finite.
 */
export async function readSafetensors(path: string): Promise<SafetensorsFile> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') throw new CallerError('NOT_FOUND', `${path} does not exist`, { cause });
    throw new OutsideError('disk', `cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
  const name = basename(path);
  try {
    const { size } = await file.stat();
    const hash = createHash('sha256');
    const prefix = await readBytes(file, 0, Math.min(8, size), name);
    const length = asDictionaryError(() => headerLength(prefix, size, name));
    const json = await readBytes(file, 8, length, name);
    hash.update(prefix).update(json);
    const { entries, metadata } = readHeader(json, size, name);
    const tensors = new Map<string, ForeignTensor>();
    for (const entry of entries) tensors.set(entry.name, { shape: entry.dims, data: await readTensor(file, entry, hash, name) });
    return { tensors, dtypes: new Map(entries.map((entry) => [entry.name, entry.dtype])), metadata, sha256: hash.digest('hex') };
  } finally {
    await file.close();
  }
}

/** Tensors in the order they lie in the file, which they must fill without holes. */
function readHeader(json: Uint8Array, size: number, file: string): { entries: Entry[]; metadata: Record<string, string> } {
  const known = asDictionaryError(() => parseHeader(json, size, file));
  const header = JSON.parse(new TextDecoder().decode(json)) as Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>;
  const entries: Entry[] = [];
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const location = known.get(name);
    if (location !== undefined) {
      entries.push({ name, ...location });
      continue;
    }
    // parseHeader has checked every entry's form and end, but leaves out what language models do not use.
    const { dtype, shape: dims, data_offsets: offsets } = entry;
    if (dtype !== 'F64') throw badForeign(file, `tensor ${name} is ${dtype}; expected F32, F16, BF16 or F64: save the dictionary as floating-point numbers`);
    const [start, end] = [8 + json.length + offsets[0], 8 + json.length + offsets[1]];
    const expected = dims.reduce((product, dim) => product * dim, 8);
    if (end - start !== expected) throw badForeign(file, `tensor ${name} [${dims.join(', ')}] F64: expected ${expected} bytes, found ${end - start}`);
    entries.push({ name, dtype, dims, start, end });
  }
  entries.sort((a, b) => a.start - b.start || a.end - b.end);
  let at = 8 + json.length;
  for (const { name, start, end } of entries) {
    if (start !== at) throw badForeign(file, `tensor ${name} begins at byte ${start}, expected ${at}: the header has a hole or an overlap`);
    at = end;
  }
  if (at !== size) throw badForeign(file, `expected ${at} bytes by its header, found ${size}`);
  const { __metadata__: metadata } = header as unknown as { __metadata__?: unknown };
  return { entries, metadata: typeof metadata === 'object' && metadata !== null ? (metadata as Record<string, string>) : {} };
}

async function readTensor(file: FileHandle, { name, dtype, dims, start, end }: Entry, hash: { update(bytes: Uint8Array): unknown }, path: string): Promise<Float32Array> {
  const width = dtype === 'F64' ? 8 : dtype === 'F32' ? 4 : 2;
  const data = new Float32Array((end - start) / width);
  for (let at = start; at < end; at += CHUNK) {
    const bytes = await readBytes(file, at, Math.min(CHUNK, end - at), path);
    hash.update(bytes);
    const part = data.subarray((at - start) / width, (at - start + bytes.length) / width);
    if (dtype === 'F64') {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      for (let i = 0; i < part.length; i++) part[i] = view.getFloat64(8 * i, true);
    } else {
      decodeInto(part, bytes, dtype);
    }
  }
  const wrong = data.findIndex((value) => !Number.isFinite(value));
  if (wrong >= 0) throw badForeign(path, `tensor ${name} [${dims.join(', ')}] holds ${data[wrong]} at element ${wrong}; expected finite numbers within float32`);
  return data;
}

async function readBytes(file: FileHandle, position: number, length: number, path: string): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; ) {
    const { bytesRead } = await file.read(bytes, at, length - at, position + at);
    if (bytesRead === 0) throw badForeign(path, `truncated: it ends at byte ${position + at}, expected at least ${position + length}`);
    at += bytesRead;
  }
  return bytes;
}

/** The header's reader serves model files; here the same failures are a dictionary's. */
function asDictionaryError<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof CallerError && error.code === 'BAD_MODEL_FILE') throw new CallerError('BAD_DICTIONARY', error.message, { cause: error });
    throw error;
  }
}
