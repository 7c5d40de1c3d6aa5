import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import type { ReadShape } from '../../dictionary/readGraph.ts';
import { maskOfLargest } from './largest.ts';

/**
 * Reads vectors with a dictionary as src/dictionary/readGraph.ts does.
 * @param weights the inputs of readGraph by name.
 * @returns squaredError [N] = ‖target − x̂‖² and firings [F] = vectors on which each feature is active; the caller disposes.
 */
export function readBatch(weights: Readonly<Record<string, Tensor>>, { k, threshold, skip }: ReadShape, x: Tensor2D, target: Tensor2D): { squaredError: Tensor1D; firings: Tensor1D } {
  return tf.tidy(() => {
    const h = tf.add<Tensor2D>(tf.matMul(x, weights['encoder'] as Tensor2D, false, true), weights['encoderBias']!);
    const positive = tf.relu(h);
    const codes = threshold ? tf.mul<Tensor2D>(positive, tf.cast(tf.greater(h, weights['threshold']!), 'float32')) : positive;
    const c = k === null ? codes : tf.mul<Tensor2D>(codes, maskOfLargest(codes, k));
    const plain = tf.add(tf.matMul(c, weights['decoder'] as Tensor2D), weights['decoderBias']!);
    const xHat = skip ? tf.add(plain, tf.matMul(x, weights['skip'] as Tensor2D, false, true)) : plain;
    return { squaredError: tf.sum<Tensor1D>(tf.square(tf.sub(xHat, target)), 1), firings: tf.sum<Tensor1D>(tf.cast(tf.greater(c, 0), 'float32'), 0) };
  });
}
