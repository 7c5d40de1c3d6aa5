import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor3D } from '@tensorflow/tfjs-core';
import { openBackend } from '../../../src/adapters/tfjs/backend.ts';
import { Rng } from '../../../src/math/rng.ts';

/** a·b of each batch in plain loops. */
function naive(a: Tensor3D, b: Tensor3D, transposeA: boolean, transposeB: boolean): number[] {
  const [left, right] = [a.arraySync(), b.arraySync()];
  const [n, m] = [transposeA ? a.shape[2] : a.shape[1], transposeB ? b.shape[1] : b.shape[2]];
  const inner = transposeA ? a.shape[1] : a.shape[2];
  return left.flatMap((x, batch) =>
    Array.from({ length: n * m }, (_, at) => {
      const [i, j] = [Math.floor(at / m), at % m];
      let sum = 0;
      for (let k = 0; k < inner; k++) sum += (transposeA ? x[k]![i]! : x[i]![k]!) * (transposeB ? right[batch]![j]![k]! : right[batch]![k]![j]!);
      return sum;
    }),
  );
}

test('products of transposed matrices, also in batches, are right and leave nothing behind', async () => {
  await openBackend('wasm');
  const rng = new Rng(3);
  const random = (shape: [number, number, number]): Tensor3D => tf.tensor3d(Float32Array.from({ length: shape[0] * shape[1] * shape[2] }, () => rng.normal()), shape);
  for (const batch of [1, 3]) {
    for (const transposeA of [false, true]) {
      for (const transposeB of [false, true]) {
        const a = random(transposeA ? [batch, 7, 5] : [batch, 5, 7]);
        const b = random(transposeB ? [batch, 4, 7] : [batch, 7, 4]);
        const before = tf.memory();
        const product = tf.matMul(a, b, transposeA, transposeB);
        assert.deepEqual(product.shape, [batch, 5, 4]);
        const expected = naive(a, b, transposeA, transposeB);
        product.dataSync().forEach((value, i) => assert.ok(Math.abs(value - expected[i]!) < 1e-5, `${batch} ${transposeA} ${transposeB}: ${value} and ${expected[i]}`));
        product.dispose();
        const { numTensors, numDataBuffers } = tf.memory();
        assert.deepEqual([numTensors, numDataBuffers], [before.numTensors, before.numDataBuffers]);
        tf.dispose([a, b]);
      }
    }
  }
});
