import { readInputs, readShapeOf } from '../../dictionary/readGraph.ts';
import type { ReadShape } from '../../dictionary/readGraph.ts';
import type { DictionaryWeights } from '../../domain/dictionary.ts';
import { invariant } from '../../domain/errors.ts';
import type { SparseCodes } from '../../domain/sparseCodes.ts';
import type { DictionaryReader, DictionaryReading, OpenDictionary, ReadWants } from '../../ports/DictionaryReader.ts';
import type { Device } from './device.ts';
import { WorkerPool } from './workerPool.ts';

export interface DictionaryReaderOptions {
  /** Chunks read at once. */
  readonly workers: number;
  /** Threads of one matrix product; 1 by default. */
  readonly threadsPerWorker?: number;
  /** `cpu` by default. */
  readonly device?: Device;
}

/** What every worker thread of one open dictionary is given; the arrays lie in shared memory. */
export interface ReaderSetup {
  readonly shape: ReadShape;
  readonly inputs: readonly (readonly [string, Float32Array, readonly number[]])[];
  readonly inputScale: number;
  readonly outputScale: number;
  readonly device: Device;
  readonly threads: number;
}

/** One chunk of vectors, in shared memory; the worker may overwrite it. */
export interface ReaderTask {
  readonly rows: number;
  readonly vectors: Float32Array;
  readonly targets: Float32Array | null;
  readonly wants: ReadWants;
}

export interface ReaderResult {
  /** Of the scaled vectors. */
  readonly squaredError: number;
  readonly firings: Float32Array;
  readonly reconstruction: Float32Array | null;
  readonly codes: SparseCodes | null;
}

/** Activations held at once by one worker, in numbers: 64 MB. */
const DENSE_LIMIT = 16 << 20;
/** More rows at once make a matrix product no faster. */
const MAX_ROWS = 1024;

/** Dictionaries read by onnxruntime in worker threads, a pool of its own for each one open. Memory: its weights once, and per worker 64 MB of activations. */
export function openDictionaryReader({ workers, threadsPerWorker = 1, device = 'cpu' }: DictionaryReaderOptions): DictionaryReader {
  invariant(workers >= 1 && threadsPerWorker >= 1, 'at least one worker with one thread');
  return {
    async open(weights: DictionaryWeights): Promise<OpenDictionary> {
      const { inputScale, outputScale } = weights.config;
      const shape = readShapeOf(weights);
      const inputs = readInputs(weights, shape).map(([name, data, dims]) => [name, shared(data), dims] as const);
      const setup: ReaderSetup = { shape, inputs, inputScale, outputScale, device, threads: threadsPerWorker };
      const pool = new WorkerPool<ReaderTask, ReaderResult>(new URL('./dictionaryReaderWorker.ts', import.meta.url), workers, setup);
      return {
        read: (vectors, targets, wants = {}) => read(pool, setup, vectors, targets, wants),
        close: () => pool.close(),
      };
    },
  };
}

async function read(pool: WorkerPool<ReaderTask, ReaderResult>, { shape, outputScale }: ReaderSetup, vectors: Float32Array, targets: Float32Array | undefined, wants: ReadWants): Promise<DictionaryReading> {
  const { dIn, dOut, nFeatures: F, transcoder } = shape;
  const total = vectors.length / dIn;
  invariant(Number.isInteger(total), `${vectors.length} numbers are no whole vectors of ${dIn}`);
  invariant(transcoder === (targets !== undefined), 'targets are given to transcoders, and only to them');
  invariant(targets === undefined || targets.length === total * dOut, `as many targets of ${dOut} as vectors`);
  const step = Math.max(1, Math.min(MAX_ROWS, Math.floor(DENSE_LIMIT / F)));
  const firings = new Float64Array(F);
  const reconstruction = wants.reconstruction === true ? new Float32Array(total * dOut) : null;
  const codes: SparseCodes[] = [];
  let squaredError = 0;

  const start = (first: number): Promise<ReaderResult> => {
    const rows = Math.min(step, total - first);
    const part = (list: Float32Array, width: number): Float32Array => shared(list.subarray(first * width, (first + rows) * width));
    return pool.run({ rows, vectors: part(vectors, dIn), targets: targets === undefined ? null : part(targets, dOut), wants });
  };
  // Taken in order, so that the sums are the same whatever finishes first; one more under way than workers.
  const underWay: Promise<ReaderResult>[] = [];
  try {
    for (let first = 0, next = 0; first < total; first += step) {
      for (; next < total && underWay.length <= pool.size; next += step) {
        const started = start(next);
        started.catch(() => undefined); // awaited later; a failure before that is no unhandled one
        underWay.push(started);
      }
      const result = await underWay.shift()!;
      squaredError += result.squaredError * outputScale ** 2;
      for (let j = 0; j < F; j++) firings[j]! += result.firings[j]!;
      if (result.reconstruction !== null) reconstruction!.set(result.reconstruction, first * dOut);
      if (result.codes !== null) codes.push(result.codes);
    }
  } finally {
    await Promise.allSettled(underWay);
  }
  return { vectors: total, squaredError, firings, reconstruction, codes: wants.codes === true ? joined(codes, F) : null };
}

/** A copy in memory that all threads see. */
function shared(data: Float32Array): Float32Array {
  const copy = new Float32Array(new SharedArrayBuffer(4 * data.length));
  copy.set(data);
  return copy;
}

/** Rows of all parts, one part after the other. */
function joined(parts: readonly SparseCodes[], nFeatures: number): SparseCodes {
  const rows = parts.reduce((sum, part) => sum + part.rows, 0);
  const entries = parts.reduce((sum, part) => sum + part.features.length, 0);
  const offsets = new Uint32Array(rows + 1);
  const features = new Uint32Array(entries);
  const values = new Float32Array(entries);
  let row = 0;
  let at = 0;
  for (const part of parts) {
    for (let r = 1; r <= part.rows; r++) offsets[row + r] = at + part.offsets[r]!;
    features.set(part.features, at);
    values.set(part.values, at);
    row += part.rows;
    at += part.features.length;
  }
  return { rows, nFeatures, offsets, features, values };
}
