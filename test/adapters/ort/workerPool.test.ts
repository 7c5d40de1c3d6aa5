import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WorkerPool } from '../../../src/adapters/ort/workerPool.ts';
import type { ProductTask } from '../../../src/adapters/ort/rowProducts.ts';

const FILE = new URL('../../../src/adapters/ort/rowProductsWorker.ts', import.meta.url);

test('a pool can be closed while its threads are still loading', async () => {
  for (let wait = 0; wait < 12; wait++) {
    const pool = new WorkerPool<ProductTask, Float32Array>(FILE, 4, null);
    await new Promise((resolve) => setTimeout(resolve, 25 * wait)); // other moments of the loading
    await pool.close();
    await assert.rejects(pool.run({ a: Float32Array.of(1), b: Float32Array.of(1), width: 1 }), /closed/);
  }
});

test('a task that one thread finished lets the others be closed too', async () => {
  const pool = new WorkerPool<ProductTask, Float32Array>(FILE, 4, null);
  assert.deepEqual([...(await pool.run({ a: Float32Array.of(2), b: Float32Array.of(3), width: 1 }))], [6]);
  await pool.close();
});
