import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import { constant } from './constant.ts';
import { maskOfLargest } from './largest.ts';
import type { LossInputs } from './loss.ts';

/** Codes c [B, F] of src/dictionary/batchCodes.ts: the k·B largest of relu(h), and the next value of its buffer `threshold` [1]. */
export function batchCodes({ spec, state, scalars }: LossInputs, h: Tensor2D): { c: Tensor2D; threshold: Tensor } {
  const { batchSize: B, nFeatures: F, hyper } = spec;
  const positive = tf.relu(h);
  const mask = constant((values) => tf.reshape(maskOfLargest(tf.reshape(values!, [1, B * F]), hyper.k * B), [B, F]), positive);
  const c = tf.mul<Tensor2D>(positive, mask);
  return { c, threshold: constant((codes) => nextThreshold(state['threshold']!, codes!, hyper.thresholdDecay, scalars['tracked'] === 1), c) };
}

/** θ moved towards the smallest positive code, where it is tracked and there is one. */
function nextThreshold(held: Tensor, codes: Tensor, decay: number, tracked: boolean): Tensor {
  if (!tracked) return held;
  const on = tf.greater(codes, 0);
  const smallest = tf.min(tf.where(on, codes, tf.fill(codes.shape, Infinity)));
  const moved = tf.where(tf.less(held, 0), tf.reshape(smallest, [1]), tf.add(tf.mul(held, decay), tf.mul(smallest, 1 - decay)));
  return tf.where(tf.reshape(tf.any(on), [1]), moved, held);
}
