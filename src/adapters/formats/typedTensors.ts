import { decodeInto } from '../../lm/safetensors.ts';
import type { ForeignTensor } from './foreign.ts';

/** Element types of PyTorch and numpy that we read. */
export type ElementType = 'float32' | 'float16' | 'bfloat16' | 'float64' | 'int64' | 'int32' | 'int16' | 'int8' | 'uint8' | 'bool';

export interface TypedTensor extends ForeignTensor {
  /** As the file holds it; `data` is float32 whatever this is. */
  readonly type: ElementType;
}

/** Bytes of one element. */
export const WIDTHS: Readonly<Record<ElementType, number>> = { float32: 4, float16: 2, bfloat16: 2, float64: 8, int64: 8, int32: 4, int16: 2, int8: 1, uint8: 1, bool: 1 };

/**
 * Elements of a storage as float32. Exact but for float64, which is rounded. `bytes` may be reused as the answer's memory and
 * is changed in place when it is big-endian.
 * @throws RangeError for a whole number that float32 does not hold.
 */
export function elementsOf(bytes: Buffer, type: ElementType, bigEndian: boolean): Float32Array {
  const width = WIDTHS[type];
  if (bigEndian && width === 2) bytes.swap16();
  if (bigEndian && width === 4) bytes.swap32();
  if (bigEndian && width === 8) bytes.swap64();
  const length = bytes.length / width;
  if (type === 'float32' && bytes.byteOffset % 4 === 0) return new Float32Array(bytes.buffer, bytes.byteOffset, length);
  const out = new Float32Array(length);
  switch (type) {
    case 'float32':
      decodeInto(out, bytes, 'F32');
      return out;
    case 'float16':
      decodeInto(out, bytes, 'F16');
      return out;
    case 'bfloat16':
      decodeInto(out, bytes, 'BF16');
      return out;
    case 'float64':
      for (let i = 0; i < length; i++) out[i] = bytes.readDoubleLE(8 * i);
      return out;
    default:
      for (let i = 0; i < length; i++) {
        const value = whole(bytes, i, type);
        out[i] = value;
        if (out[i] !== value || !Number.isSafeInteger(value)) throw new RangeError(`holds ${value}, a whole number beyond what is kept exactly`);
      }
      return out;
  }
}

function whole(bytes: Buffer, i: number, type: 'int64' | 'int32' | 'int16' | 'int8' | 'uint8' | 'bool'): number {
  switch (type) {
    case 'int64':
      return Number(bytes.readBigInt64LE(8 * i));
    case 'int32':
      return bytes.readInt32LE(4 * i);
    case 'int16':
      return bytes.readInt16LE(2 * i);
    case 'int8':
      return bytes.readInt8(i);
    default:
      return bytes[i]!;
  }
}

/**
 * Row-major copy of a strided view of `storage`; where the view is row-major already, the view itself. Its bounds have been
 * checked by the caller.
 * @param offset, strides in elements.
 */
export function gather(storage: Float32Array, offset: number, shape: readonly number[], strides: readonly number[]): Float32Array {
  const size = shape.reduce((product, dim) => product * dim, 1);
  if (size === 0) return new Float32Array(0);
  if (rowMajor(shape, strides)) return storage.subarray(offset, offset + size);
  const out = new Float32Array(size);
  const rank = shape.length;
  const inner = shape[rank - 1]!;
  const step = strides[rank - 1]!;
  const index = Array.from({ length: rank }, () => 0);
  let start = offset;
  for (let at = 0; at < size; at += inner) {
    for (let i = 0; i < inner; i++) out[at + i] = storage[start + i * step]!;
    for (let axis = rank - 2; axis >= 0; axis--) {
      start += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      start -= shape[axis]! * strides[axis]!;
      index[axis] = 0;
    }
  }
  return out;
}

function rowMajor(shape: readonly number[], strides: readonly number[]): boolean {
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== expected) return false;
    expected *= shape[axis]!;
  }
  return true;
}
