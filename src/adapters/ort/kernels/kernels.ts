import { readFileSync } from 'node:fs';
import { OutsideError } from '../../../domain/errors.ts';

/**
 * The functions of kernels/assembly/, where each is described. Arguments are numbers: byte addresses into the memory the
 * instance was made over (0: none), counts, and floats.
 */
export interface Kernels {
  axpy(out: number, a: number, c: number, n: number): void;
  subtractRow(out: number, a: number, b: number, rows: number, n: number): void;
  scanRows(h: number, rows: number, n: number, base: number, k: number, capacity: number, lists: number, lengths: number, floors: number): void;
  scanBatch(h: number, rows: number, n: number, firstRow: number, base: number, F: number, k: number, capacity: number, list: number, length: number, floor: number): void;
  scanPositive(h: number, rows: number, n: number, base: number, capacity: number, starts: number, counts: number, indices: number, values: number): void;
  finishRows(rows: number, k: number, capacity: number, lists: number, lengths: number, starts: number, counts: number, indices: number, values: number, names: number): void;
  finishBatch(candidates: number, n: number, scratch: number, B: number, F: number, starts: number, counts: number, indices: number, values: number): void;
  best(candidates: number, n: number, k: number): number;
  sortAscending(list: number, n: number): void;
  decodeRows(rows: number, n: number, starts: number, counts: number, indices: number, coefficients: number, W: number, bias: number, target: number, e: number, squares: number): void;
  partOfRows(rows: number, starts: number, counts: number, indices: number, from: number, to: number, partStarts: number, partCounts: number): void;
  dotRows(rows: number, n: number, starts: number, counts: number, indices: number, W: number, scales: number, e: number, alpha: number, addend: number, slopes: number): void;
  scaleEntries(rows: number, starts: number, counts: number, indices: number, values: number, scales: number, out: number): void;
  columnSums(a: number, rows: number, n: number, out: number): void;
  distances(a: number, b: number, rows: number, n: number, squares: number): void;
  maskSlopes(codes: number, slopes: number, rows: number, n: number, fired: number, slopeSums: number, codeSums: number): void;
  countFeatures(B: number, starts: number, counts: number, indices: number, from: number, to: number, totals: number): void;
  fillFeatures(B: number, starts: number, counts: number, indices: number, values: number, slopes: number, from: number, to: number, alpha: number, cursors: number, rowsOut: number, valuesOut: number, slopesOut: number): void;
  gatherFeatures(from: number, to: number, n: number, offsets: number, rows: number, coefficients: number, matrix: number, out: number, add: number): void;
  sumFeatures(from: number, to: number, offsets: number, coefficients: number, sums: number, add: number): void;
  removeParallel(rows: number, n: number, W: number, gradient: number): void;
  sumSquares(rows: number, n: number, a: number): number;
  weightedSum(rows: number, n: number, weights: number, a: number, out: number): void;
  normaliseRows(rows: number, n: number, a: number, least: number, out: number, inverses: number): void;
  throughNorm(rows: number, n: number, m: number, inverses: number, least: number, gradient: number): void;
  adam(n: number, p: number, gradient: number, m: number, v: number, factor: number, beta1: number, rest1: number, beta2: number, rest2: number, epsilon: number, stepSize: number, secondCorrection: number): void;
  adamUnitRows(rows: number, n: number, p: number, gradient: number, m: number, v: number, factor: number, beta1: number, rest1: number, beta2: number, rest2: number, epsilon: number, stepSize: number, secondCorrection: number, least: number): void;
}

/** Written by `npm run generate`. */
const FILE = new URL('./generated/kernels.wasm', import.meta.url);

let compiled: WebAssembly.Module | undefined;

/** The kernels over a shared memory. Each thread makes its own instance. */
export function openKernels(memory: WebAssembly.Memory): Kernels {
  compiled ??= compile();
  // What the module exports is what generate.ts compiled from kernels/assembly/index.ts; kernel.test.ts calls each.
  return new WebAssembly.Instance(compiled, { env: { memory } }).exports as unknown as Kernels;
}

function compile(): WebAssembly.Module {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(FILE);
  } catch (cause) {
    throw new OutsideError('kernels', `cannot read the training kernels at ${FILE.pathname}: run npm run generate`, { cause });
  }
  try {
    return new WebAssembly.Module(bytes);
  } catch (cause) {
    throw new OutsideError('kernels', `this Node.js (${process.version}) cannot run the training kernels: they need WebAssembly's relaxed SIMD, of version 22 and later`, { cause });
  }
}

const PAGE = 65536;

/** Memory that all threads of a trainer and its kernels share; it never grows, so views stay valid. */
export function sharedMemory(bytes: number): WebAssembly.Memory {
  const pages = Math.ceil(bytes / PAGE);
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
}
