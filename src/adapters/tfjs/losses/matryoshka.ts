import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import { groupSizes } from '../../../dictionary/matryoshka.ts';
import { auxiliaryLoss } from '../auxiliary.ts';
import { batchCodes } from '../batchCodes.ts';
import { active } from '../constant.ts';
import { preActivations, reconstruction } from '../linear.ts';
import type { TfjsLoss } from '../loss.ts';

/** src/dictionary/matryoshka.ts. */
export const matryoshka: TfjsLoss = {
  name: 'matryoshka',
  rules: () => ({ decoder: { unitRows: true } }),
  compute(inputs) {
    const { spec, target } = inputs;
    const h = preActivations(inputs);
    const { c, threshold } = batchCodes(inputs, h);
    let ends = 0;
    const errors = groupSizes(spec).map((size) => {
      ends += size;
      const prefix = tf.less(tf.range(0, spec.nFeatures), ends); // [F], true for the first groups
      return tf.sub<Tensor2D>(reconstruction(inputs, tf.mul(c, tf.cast(prefix, 'float32'))), target);
    });
    const means = errors.map((e) => tf.mean<Scalar>(tf.square(e)));
    const main = tf.mul<Scalar>(tf.addN(means), 1 / means.length);
    const fired = tf.sum<Tensor1D>(active(c), 0);
    return { loss: tf.add(main, auxiliaryLoss(inputs, h, errors.at(-1)!, fired)), mse: means.at(-1)!, fired, buffers: { threshold } };
  },
};
