import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import { auxiliaryLoss } from '../auxiliary.ts';
import { active, constant } from '../constant.ts';
import { maskOfLargest } from '../largest.ts';
import { preActivations, reconstruction } from '../linear.ts';
import type { TfjsLoss } from '../loss.ts';

/** src/dictionary/topk.ts. */
export const topk: TfjsLoss = {
  name: 'topk',
  rules: () => ({ decoder: { unitRows: true } }),
  compute(inputs) {
    const h = preActivations(inputs);
    const positive = tf.relu(h);
    const c = tf.mul<Tensor2D>(positive, constant((values) => maskOfLargest(values as Tensor2D, inputs.spec.hyper.k), positive));
    const e = tf.sub<Tensor2D>(reconstruction(inputs, c), inputs.target);
    const mse = tf.mean<Scalar>(tf.square(e));
    const fired = tf.sum<Tensor1D>(active(c), 0);
    return { loss: tf.add(mse, auxiliaryLoss(inputs, h, e, fired)), mse, fired };
  },
};
