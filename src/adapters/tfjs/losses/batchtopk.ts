import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import { auxiliaryLoss } from '../auxiliary.ts';
import { batchCodes } from '../batchCodes.ts';
import { active } from '../constant.ts';
import { preActivations, reconstruction } from '../linear.ts';
import type { TfjsLoss } from '../loss.ts';

/** src/dictionary/batchtopk.ts. */
export const batchtopk: TfjsLoss = {
  name: 'batchtopk',
  rules: () => ({ decoder: { unitRows: true } }),
  compute(inputs) {
    const h = preActivations(inputs);
    const { c, threshold } = batchCodes(inputs, h);
    const e = tf.sub<Tensor2D>(reconstruction(inputs, c), inputs.target);
    const mse = tf.mean<Scalar>(tf.square(e));
    const fired = tf.sum<Tensor1D>(active(c), 0);
    return { loss: tf.add(mse, auxiliaryLoss(inputs, h, e, fired)), mse, fired, buffers: { threshold } };
  },
};
