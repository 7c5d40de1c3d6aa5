import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import type { LossInputs } from './loss.ts';

/** (x − b′)·Eᵀ [B, F], or x·Eᵀ in a transcoder: src/dictionary/linear.ts. */
export function centredProduct({ spec, x, state }: LossInputs): Tensor2D {
  const input = spec.transcoder ? x : tf.sub<Tensor2D>(x, state['decoderBias']!);
  return tf.matMul(input, state['encoder'] as Tensor2D, false, true);
}

/** h = centredProduct + b [B, F]. */
export function preActivations(inputs: LossInputs): Tensor2D {
  return tf.add(centredProduct(inputs), inputs.state['encoderBias']!);
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
