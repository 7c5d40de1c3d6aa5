import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';

/** f(inputs) as a constant of the loss: no gradient flows through it, and f may use operations that have none. */
export function constant<T extends Tensor>(f: (...inputs: Tensor[]) => T, ...inputs: Tensor[]): T {
  const shapes = inputs.map(({ shape }) => shape);
  const detached = tf.customGrad<T>((...given) => ({
    value: tf.clone(f(...(given.slice(0, shapes.length) as Tensor[]))), // the last one given saves for the gradient
    gradFunc: () => shapes.map((shape) => tf.zeros(shape)),
  }));
  return detached(...inputs);
}

/** 1 where a > 0, else 0, of a's shape. */
export function active(a: Tensor): Tensor {
  return constant((values) => tf.cast(tf.greater(values!, 0), 'float32'), a);
}
