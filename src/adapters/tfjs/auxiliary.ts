import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import { constant } from './constant.ts';
import { maskOfLargest } from './largest.ts';
import type { LossInputs } from './loss.ts';
import { sinceFiredAfter } from './sinceFired.ts';

/**
 * L_aux of src/dictionary/auxiliary.ts: the auxK most active dead features reconstruct −e.
 * @param h [B, F]; @param e x̂ − target [B, dOut]; @param fired [F].
 */
export function auxiliaryLoss({ spec, state }: LossInputs, h: Tensor2D, e: Tensor2D, fired: Tensor): Scalar {
  const { batchSize: B, hyper: { auxK, auxCoefficient, deadVectors } } = spec;
  if (auxCoefficient === 0) return tf.scalar(0);
  const dead = constant((counts) => tf.cast(tf.greaterEqual(sinceFiredAfter(state['sinceFired']!, counts!, B), deadVectors), 'float32'), fired); // [F]
  const active = tf.mul<Tensor2D>(tf.relu(h), dead);
  const a = tf.mul<Tensor2D>(active, constant((values) => maskOfLargest(values as Tensor2D, auxK), active));
  const residual = constant((error) => error!, e);
  const scale = constant((error) => {
    const spread = tf.sum(tf.square(tf.sub(error!, tf.mean(error!, 0, true))));
    return tf.where(tf.greater(spread, 0), tf.div(auxCoefficient, spread), tf.zerosLike(spread));
  }, e);
  const error = tf.add(tf.matMul(a, state['decoder'] as Tensor2D), residual);
  const anyDead = constant((mask) => tf.max(mask!), dead); // without a dead feature there is no such loss
  return tf.mul(tf.mul<Scalar>(tf.sum(tf.square(error)), scale), anyDead);
}
