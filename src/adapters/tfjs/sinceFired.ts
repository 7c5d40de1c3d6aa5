import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';

/** Vectors since each feature was last active [F], after a batch of B on which it was active `fired` times. Has no gradient. */
export function sinceFiredAfter(sinceFired: Tensor, fired: Tensor, B: number): Tensor {
  return tf.where(tf.greater(fired, 0), tf.zerosLike(fired), tf.add(sinceFired, B));
}
