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

/** 1 where a > b, else 0. */
export function above(a: Tensor, b: Tensor | number): Tensor {
  return constant((...[left, right]) => tf.cast(tf.greater(left!, right ?? (b as number)), 'float32'), ...(typeof b === 'number' ? [a] : [a, b]));
}
