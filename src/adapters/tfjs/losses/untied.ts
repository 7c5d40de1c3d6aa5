import * as tf from '@tensorflow/tfjs-core';
import { active } from '../constant.ts';
import { meanSquaredError, preActivations, reconstruction } from '../linear.ts';
import type { TfjsLoss } from '../loss.ts';

/** src/dictionary/untied.ts. */
export const untied: TfjsLoss = {
  name: 'untied',
  rules: () => ({ decoder: { unitRows: true } }),
  compute(inputs) {
    const c = tf.relu(preActivations(inputs));
    const mse = meanSquaredError(reconstruction(inputs, c), inputs.target);
    const l1 = tf.mean(tf.sum(c, 1));
    return { loss: tf.add(mse, tf.mul(l1, inputs.scalars['sparsity']!)), mse, fired: tf.sum(active(c), 0) };
  },
};
