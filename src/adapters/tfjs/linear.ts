import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import type { LossInputs } from './loss.ts';

/** h = (x − b′)·Eᵀ + b [B, F], or x·Eᵀ + b in a transcoder: src/dictionary/linear.ts. */
export function preActivations({ spec, x, state }: LossInputs): Tensor2D {
  const input = spec.transcoder ? x : tf.sub(x, state['decoderBias']!);
  return tf.add(tf.matMul<Tensor2D>(input as Tensor2D, state['encoder'] as Tensor2D, false, true), state['encoderBias']!);
}

/** x̂ = c·W + b′ (+ x·Sᵀ) [B, dOut]. */
export function reconstruction({ spec, x, state }: LossInputs, c: Tensor): Tensor2D {
  const plain = tf.add<Tensor2D>(tf.matMul(c as Tensor2D, state['decoder'] as Tensor2D), state['decoderBias']!);
  return spec.skip ? tf.add(plain, tf.matMul(x, state['skip'] as Tensor2D, false, true)) : plain;
}

/** Mean over vectors and width of (x̂ − target)². */
export function meanSquaredError(xHat: Tensor, target: Tensor): Scalar {
  return tf.mean(tf.square(tf.sub(xHat, target)));
}
