import type { RowProducts } from '../../ports/RowProducts.ts';
import { WorkerPool } from './workerPool.ts';

/** Rows in shared memory: a [n, width], b [m, width]. */
export interface ProductTask {
  readonly a: Float32Array;
  readonly b: Float32Array;
  readonly width: number;
}

/** Rows of a that one worker multiplies at a time; fixed, so that the number of workers changes no bit. */
const SLICE = 512;

/** Products by onnxruntime on the CPU in worker threads, each with one thread of its own. */
export function openRowProducts(workers: number): RowProducts {
  const pool = new WorkerPool<ProductTask, Float32Array>(new URL('./rowProductsWorker.ts', import.meta.url), workers, null);
  return {
    async products(a, b, width) {
      const m = b.length / width;
      const out = new Float32Array((a.length / width) * m);
      const all = shared(b);
      const slices = Array.from({ length: Math.ceil(a.length / (SLICE * width)) }, (_, i) => i);
      await Promise.all(
        slices.map(async (i) => {
          const rows = shared(a.subarray(i * SLICE * width, (i + 1) * SLICE * width));
          out.set(await pool.run({ a: rows, b: all, width }), i * SLICE * m);
        }),
      );
      return out;
    },
    close: () => pool.close(),
  };
}

function shared(data: Float32Array): Float32Array {
  const copy = new Float32Array(new SharedArrayBuffer(data.byteLength));
  copy.set(data);
  return copy;
}
