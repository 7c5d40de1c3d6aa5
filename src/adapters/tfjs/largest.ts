import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '@tensorflow/tfjs-core';

/** 1 at the k largest entries of each row of c [N, F], else 0; of equal ones those with the lower index. Has no gradient. */
export function maskOfLargest(c: Tensor2D, k: number): Tensor2D {
  const [N, F] = c.shape;
  const { indices } = tf.topk(c, k);
  const row = tf.mul(tf.range(0, N, 1, 'int32'), tf.scalar(F, 'int32'));
  const flat = tf.reshape(tf.add(indices, tf.expandDims(row, 1)), [N * k, 1]);
  return tf.reshape(tf.scatterND(flat, tf.ones([N * k]), [N * F]), [N, F]);
}
