import * as tf from '@tensorflow/tfjs-core';
import type { GradSaveFunc, Scalar, Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import { meanSquaredError, preActivations, reconstruction } from '../linear.ts';
import type { TfjsLoss } from '../loss.ts';

/** src/dictionary/jumprelu.ts. */
export const jumprelu: TfjsLoss = {
  name: 'jumprelu',
  rules: ({ dIn }) => ({ decoder: { unitRows: true }, threshold: { stepFactor: Math.sqrt(dIn), floor: 0 } }),
  compute(inputs) {
    const { spec, state, target, scalars } = inputs;
    const { bandwidth, targetL0 } = spec.hyper;
    const threshold = state['threshold'] as Tensor1D;
    const h = preActivations(inputs);
    const mse = meanSquaredError(reconstruction(inputs, jump(h, threshold, bandwidth)), target);
    const on = heaviside(h, threshold, bandwidth);
    const l0 = tf.mean<Scalar>(tf.sum(on, 1));
    const penalty = targetL0 === 0 ? l0 : tf.square(tf.sub(tf.div<Scalar>(l0, targetL0), 1));
    return { loss: tf.add(mse, tf.mul(penalty, scalars['sparsity']!)), mse, fired: tf.sum<Tensor1D>(on, 0) };
  },
};

/** z where above θ, else 0; the pseudo-derivative by θ is −(θ/ε)·K((z − θ)/ε) (Rajamanoharan et al. 2024, section 4). */
function jump(z: Tensor2D, theta: Tensor1D, bandwidth: number): Tensor2D {
  return withEstimate(
    (h, t) => tf.mul(h, greater(h, t)),
    (dy, h, t) => [tf.mul(dy, greater(h, t)), tf.mul(tf.sum(tf.mul(dy, kernel(h, t, bandwidth)), 0), tf.mul(t, -1 / bandwidth))],
    z,
    theta,
  );
}

/** 1 where z is above θ, else 0; the pseudo-derivative by θ is −(1/ε)·K((z − θ)/ε), that by z is 0. */
function heaviside(z: Tensor2D, theta: Tensor1D, bandwidth: number): Tensor2D {
  return withEstimate(greater, (dy, h, t) => [tf.zerosLike(h), tf.mul(tf.sum(tf.mul(dy, kernel(h, t, bandwidth)), 0), -1 / bandwidth)], z, theta);
}

/** value(z, θ), whose gradients by z and θ are taken to be what `estimate` says for the gradient dy by its value. */
function withEstimate(value: (z: Tensor, theta: Tensor) => Tensor2D, estimate: (dy: Tensor, z: Tensor, theta: Tensor) => Tensor[], z: Tensor2D, theta: Tensor1D): Tensor2D {
  const operation = tf.customGrad<Tensor2D>((h, t, save) => {
    (save as GradSaveFunc)([h as Tensor, t as Tensor]);
    return { value: value(h as Tensor, t as Tensor), gradFunc: (dy, saved) => estimate(dy, saved[0]!, saved[1]!) };
  });
  return operation(z, theta);
}

function greater(a: Tensor, b: Tensor): Tensor2D {
  return tf.cast(tf.greater(a, b), 'float32');
}

/** K((z − θ)/ε): 1 within half a bandwidth of θ, else 0. */
function kernel(z: Tensor, theta: Tensor, bandwidth: number): Tensor {
  return tf.cast(tf.less(tf.abs(tf.sub(z, theta)), bandwidth / 2), 'float32');
}
