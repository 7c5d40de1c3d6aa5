import { CallerError } from '../domain/errors.ts';

/** Where a tensor lies in a safetensors file. Format: github.com/huggingface/safetensors, "Format". */
export interface TensorLocation {
  readonly dtype: 'F32' | 'F16' | 'BF16';
  readonly dims: readonly number[];
  /** Byte offsets in the file. */
  readonly start: number;
  readonly end: number;
}

/** Bytes per element of the types we read. */
export const DTYPE_BYTES: Readonly<Record<TensorLocation['dtype'], number>> = { F32: 4, F16: 2, BF16: 2 };

/** The reference implementation's limit on the header. */
const MAX_HEADER = 100_000_000;

/**
 * Length of the JSON header that follows the first 8 bytes of a file. Throws BAD_MODEL_FILE when the file cannot hold it.
 */
export function headerLength(prefix: Uint8Array, fileSize: number, file: string): number {
  if (prefix.length < 8) throw bad(file, `expected at least 8 bytes, found ${fileSize}: the file is truncated`);
  const length = Number(new DataView(prefix.buffer, prefix.byteOffset, 8).getBigUint64(0, true));
  if (length > MAX_HEADER) throw bad(file, `its header claims ${length} bytes: this is no safetensors file`);
  if (8 + length > fileSize) throw bad(file, `expected a header of ${length} bytes, found ${fileSize - 8}: the file is truncated`);
  return length;
}

/**
 * Reads the JSON header. Tensors of types we do not use (attention masks kept as booleans, say) are left out. Throws
 * BAD_MODEL_FILE when the header is no JSON, or a tensor lies outside the file or has not the bytes its shape needs.
 */
export function parseHeader(json: Uint8Array, fileSize: number, file: string): Map<string, TensorLocation> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(json));
  } catch (cause) {
    throw new CallerError('BAD_MODEL_FILE', `${file}: its header is not JSON: this is no safetensors file`, { cause });
  }
  if (typeof parsed !== 'object' || parsed === null) throw bad(file, 'its header is no JSON object');
  const tensors = new Map<string, TensorLocation>();
  for (const [name, entry] of Object.entries(parsed)) {
    if (name === '__metadata__') continue;
    if (!isEntry(entry)) throw bad(file, `tensor ${name}: expected dtype, shape and data_offsets in the header`);
    const start = 8 + json.length + entry.data_offsets[0];
    const end = 8 + json.length + entry.data_offsets[1];
    if (end > fileSize) {
      throw bad(file, `tensor ${name} ends at byte ${end}, the file has ${fileSize}: the file is truncated`);
    }
    if (!isReadable(entry.dtype)) continue;
    const expected = entry.shape.reduce((product, dim) => product * dim, DTYPE_BYTES[entry.dtype]);
    if (end - start !== expected) {
      throw bad(file, `tensor ${name} [${entry.shape.join(', ')}] ${entry.dtype}: expected ${expected} bytes, found ${end - start}`);
    }
    tensors.set(name, { dtype: entry.dtype, dims: entry.shape, start, end });
  }
  return tensors;
}

/** Writes `bytes` of the given type into `out` as float32. Exact: every F16 and BF16 value is a float32. */
export function decodeInto(out: Float32Array, bytes: Uint8Array, dtype: TensorLocation['dtype']): void {
  if (dtype === 'F32') {
    new Uint8Array(out.buffer, out.byteOffset, out.byteLength).set(bytes);
    return;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (dtype === 'BF16') {
    const bits = new Uint32Array(out.buffer, out.byteOffset, out.length);
    for (let i = 0; i < out.length; i++) bits[i] = view.getUint16(2 * i, true) << 16;
  } else {
    for (let i = 0; i < out.length; i++) out[i] = halfToNumber(view.getUint16(2 * i, true));
  }
}

function halfToNumber(bits: number): number {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const sign = bits & 0x8000 ? -1 : 1;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

function isEntry(value: unknown): value is { dtype: string; shape: number[]; data_offsets: [number, number] } {
  if (typeof value !== 'object' || value === null) return false;
  const { dtype, shape, data_offsets: offsets } = value as Record<string, unknown>;
  const counts = (list: unknown): list is number[] =>
    Array.isArray(list) && list.every((item) => Number.isSafeInteger(item) && item >= 0);
  return typeof dtype === 'string' && counts(shape) && counts(offsets) && offsets.length === 2 && offsets[0] <= offsets[1];
}

function isReadable(dtype: string): dtype is TensorLocation['dtype'] {
  return Object.hasOwn(DTYPE_BYTES, dtype);
}

function bad(file: string, what: string): CallerError {
  return new CallerError('BAD_MODEL_FILE', `${file}: ${what}`);
}
