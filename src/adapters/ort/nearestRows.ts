import { availableParallelism } from 'node:os';
import { dot } from '../../math/dot.ts';
import { LargestKept } from '../../math/largestKept.ts';
import type { Nearest, NearestRows } from '../../ports/NearestRows.ts';
import { WorkerPool } from './workerPool.ts';

/** Rows of unit length in shared memory. */
export interface UnitRows {
  /** [n, width]; rows of zeros stay so. */
  readonly rows: Float32Array;
  /** [n]: square of each row's length as it lies there, 1 but for rounding; 0 = a row of zeros. */
  readonly squares: Float64Array;
  readonly width: number;
}

/** What a thread is asked: candidates of a tile, both ways, or the exact order of candidates that were found. */
export type NearestTask =
  | { readonly kind: 'search'; readonly a: UnitRows; readonly b: UnitRows; readonly fromA: number; readonly toA: number; readonly fromB: number; readonly toB: number; readonly bars: Bars; readonly keep: number }
  | { readonly kind: 'order'; readonly a: UnitRows; readonly b: UnitRows; readonly from: number; readonly to: number; readonly candidates: Int32Array; readonly keep: number; readonly k: number };

/** What a product must reach to be among the greatest of its row of a, and of b, as far as is known: shared, and only ever raised. */
interface Bars {
  readonly a: Float32Array;
  readonly b: Float32Array;
}

export interface Candidates {
  /** [rows, keep] */
  readonly indices: Int32Array;
  readonly values: Float32Array;
}

export type NearestResult = { readonly ofA: Candidates; readonly ofB: Candidates } | { readonly indices: Int32Array; readonly cosines: Float32Array };

/** Rows of a tile on either side; fixed, so that the number of threads changes no bit. */
const TILE = 4096;
/** Candidates beyond k: float32 products may misplace what is closer than a millionth. */
const SPARE = 8;

/** Products by onnxruntime on the CPU in worker threads, each with one thread of its own. Memory: both matrices, and a few MB a thread. */
export function openNearestRows(workers = availableParallelism()): NearestRows {
  const pool = new WorkerPool<NearestTask, NearestResult>(new URL('./nearestRowsWorker.ts', import.meta.url), workers, null);
  const order = async (a: UnitRows, b: UnitRows, found: LargestKept, k: number): Promise<Nearest> => {
    const n = a.squares.length;
    const indices = new Int32Array(n * k);
    const cosines = new Float32Array(n * k);
    await Promise.all(
      starts(n).map(async (from) => {
        const to = Math.min(n, from + TILE);
        const candidates = found.indices.slice(from * found.k, to * found.k);
        const answer = (await pool.run({ kind: 'order', a, b, from, to, candidates, keep: found.k, k })) as Extract<NearestResult, { cosines: unknown }>;
        indices.set(answer.indices, from * k);
        cosines.set(answer.cosines, from * k);
      }),
    );
    return { k, indices, cosines };
  };
  return {
    async nearest(rowsA, rowsB, width, k, onDone) {
      const [a, b] = [unitRows(rowsA, width), unitRows(rowsB, width)];
      const [n, m] = [a.squares.length, b.squares.length];
      const [kA, kB] = [Math.min(k, m), Math.min(k, n)];
      // Tiles leave out what is below the bars already, which changes nothing in what is kept in the end.
      const bars: Bars = { a: lowest(n), b: lowest(m) };
      const ofA = new LargestKept(n, Math.min(k + SPARE, m), bars.a);
      const ofB = new LargestKept(m, Math.min(k + SPARE, n), bars.b);
      let done = 0;
      await Promise.all(
        starts(n).flatMap((fromA) =>
          starts(m).map(async (fromB) => {
            const [toA, toB] = [Math.min(n, fromA + TILE), Math.min(m, fromB + TILE)];
            const found = (await pool.run({ kind: 'search', a, b, fromA, toA, fromB, toB, bars, keep: k + SPARE })) as Extract<NearestResult, { ofA: unknown }>;
            merge(ofA, fromA, fromB, found.ofA, k + SPARE);
            merge(ofB, fromB, fromA, found.ofB, k + SPARE);
            done += (toA - fromA) * (toB - fromB);
            onDone?.(done);
          }),
        ),
      );
      const [orderedA, orderedB] = await Promise.all([order(a, b, ofA, kA), order(b, a, ofB, kB)]);
      return { ofA: orderedA, ofB: orderedB };
    },
    close: () => pool.close(),
  };
}

/** Takes over what a tile found; its rows start at `row`, its indices at `index`. */
function merge(kept: LargestKept, row: number, index: number, { indices, values }: Candidates, keep: number): void {
  for (let i = 0; i < indices.length; i++) if (indices[i] >= 0) kept.offer(row + Math.floor(i / keep), index + indices[i], values[i]);
}

function lowest(n: number): Float32Array {
  return new Float32Array(new SharedArrayBuffer(4 * n)).fill(-Infinity);
}

function starts(rows: number): number[] {
  return Array.from({ length: Math.ceil(rows / TILE) }, (_, i) => i * TILE);
}

/** Rows at unit length, in memory that all threads see. */
function unitRows(source: Float32Array, width: number): UnitRows {
  const n = source.length / width;
  const rows = new Float32Array(new SharedArrayBuffer(4 * source.length));
  const squares = new Float64Array(new SharedArrayBuffer(8 * n));
  for (let j = 0; j < n; j++) {
    const length = Math.sqrt(dot(source, j * width, source, j * width, width));
    if (length === 0) continue;
    for (let q = j * width; q < (j + 1) * width; q++) rows[q] = source[q] / length;
    squares[j] = dot(rows, j * width, rows, j * width, width);
  }
  return { rows, squares, width };
}
