import { badForeign } from './foreign.ts';
import { WIDTHS, elementsOf, gather, type TypedTensor, type ElementType } from './typedTensors.ts';

const MAGIC = Buffer.from('\x93NUMPY', 'latin1');
const TYPES: Readonly<Record<string, ElementType>> = { f4: 'float32', f2: 'float16', f8: 'float64', i8: 'int64', i4: 'int32', b1: 'bool' };
const MAX_RANK = 8;
const HEADER = /^\{\s*'descr'\s*:\s*'([^']*)'\s*,\s*'fortran_order'\s*:\s*(True|False)\s*,\s*'shape'\s*:\s*\(([\d\s,]*)\)\s*,?\s*\}\s*$/;

/**
 * An array in numpy's .npy format (versions 1 to 3) as float32, row-major whatever the order in the file. Exact but for float64,
 * which is rounded. Object arrays, which are pickles, are refused like everything that is not plain numbers. May change or keep
 * `bytes`.
 *
 * Format: numpy.lib.format, "Format Version 1.0".
 * @param path, name what an error calls the file and the array.
 */
export function readNpy(bytes: Buffer, path: string, name: string): TypedTensor {
  const fail = (what: string, cause?: unknown): Error => badForeign(path, `array ${name} ${what}`, cause);
  if (bytes.length < 12 || !bytes.subarray(0, 6).equals(MAGIC)) throw fail('does not begin as a numpy array; the file is damaged or of another format');
  const version = bytes[6]!;
  if (version < 1 || version > 3) throw fail(`is of format version ${version}, expected 1 to 3`);
  const start = version === 1 ? 10 : 12;
  const length = version === 1 ? bytes.readUInt16LE(8) : bytes.readUInt32LE(8);
  if (start + length > bytes.length) throw fail(`has a header of ${length} bytes and ends after ${bytes.length}; the file is truncated, fetch it again`);
  if (length > 65_535) throw fail(`has a header of ${length} bytes; plain arrays need less than 65536`);
  const header = bytes.toString('latin1', start, start + length);
  if (/^\{\s*'descr'\s*:\s*\[/.test(header)) throw fail('is a structured array; expected plain float32, float16 or float64 numbers');
  const match = HEADER.exec(header);
  if (match === null) throw fail(`has a header that is no numpy header: ${JSON.stringify(header.slice(0, 80))}; the file is damaged, fetch it again`);
  const [, descr, order, dims] = match as unknown as [string, string, string, string];
  if (/^\|?O/.test(descr)) throw fail('holds Python objects, which only executing a pickle could read; save it as plain numbers (array.astype("float32"))');
  const type = Object.hasOwn(TYPES, descr.slice(1)) ? TYPES[descr.slice(1)] : undefined;
  if (type === undefined || !/^[<>|=]/.test(descr)) throw fail(`has type ${JSON.stringify(descr)}, expected one of ${Object.keys(TYPES).join(', ')}`);
  const shape = dims.split(',').map((dim) => dim.trim()).filter((dim) => dim !== '').map(Number);
  if (shape.length > MAX_RANK || !shape.every(Number.isSafeInteger)) throw fail(`has shape (${dims}), expected at most ${MAX_RANK} sizes`);
  const elements = shape.reduce((product, dim) => product * dim, 1);
  const data = bytes.subarray(start + length);
  if (data.length !== elements * WIDTHS[type]) throw fail(`of shape [${shape.join(', ')}] ${type} has ${data.length} bytes, expected ${elements * WIDTHS[type]}; the file is truncated or damaged, fetch it again`);
  let storage: Float32Array;
  try {
    storage = elementsOf(data, type, descr.startsWith('>'));
  } catch (error) {
    throw error instanceof RangeError ? fail(error.message, error) : error;
  }
  return { shape, type: type, data: gather(storage, 0, shape, stridesOf(shape, order === 'True')) };
}

function stridesOf(shape: readonly number[], fortran: boolean): number[] {
  const strides = shape.map(() => 1);
  const axes = shape.map((_, axis) => axis);
  let stride = 1;
  for (const axis of fortran ? axes : axes.reverse()) {
    strides[axis] = stride;
    stride *= shape[axis]!;
  }
  return strides;
}
