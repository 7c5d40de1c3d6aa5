import type { RowProducts } from '../../ports/RowProducts.ts';
import { WorkerPool } from './workerPool.ts';

/** Rows in shared memory: a [n, width], b [m, width]. */
export interface ProductTask {
  readonly a: Float32Array;
  readonly b: Float32Array;
  readonly width: number;
}

/** Products by onnxruntime on the CPU in one worker thread. @param threads threads of one product. */
export function openRowProducts(threads: number): RowProducts {
  const pool = new WorkerPool<ProductTask, Float32Array>(new URL('./rowProductsWorker.ts', import.meta.url), 1, { threads });
  return {
    products: (a, b, width) => pool.run({ a: shared(a), b: shared(b), width }),
    close: () => pool.close(),
  };
}

function shared(data: Float32Array): Float32Array {
  const copy = new Float32Array(new SharedArrayBuffer(data.byteLength));
  copy.set(data);
  return copy;
}
