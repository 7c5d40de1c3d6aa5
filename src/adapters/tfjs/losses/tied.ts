import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '@tensorflow/tfjs-core';
import { NORM_FLOOR } from '../../../dictionary/tied.ts';
import { active } from '../constant.ts';
import { meanSquaredError } from '../linear.ts';
import type { TfjsLoss } from '../loss.ts';

/** src/dictionary/tied.ts. */
export const tied: TfjsLoss = {
  name: 'tied',
  rules: () => ({}),
  compute({ x, state, scalars }) {
    const rows = state['rows'] as Tensor2D;
    // √max(‖row‖², floor²) is max(‖row‖, floor), with a gradient of 0 instead of none at 0.
    const length = tf.sqrt(tf.maximum(tf.sum(tf.square(rows), 1, true), NORM_FLOOR ** 2));
    const w = tf.div<Tensor2D>(rows, length);
    const c = tf.relu(tf.add<Tensor2D>(tf.matMul(x, w, false, true), state['bias']!));
    const mse = meanSquaredError(tf.matMul(c, w), x);
    const l1 = tf.mean(tf.sum(c, 1));
    return { loss: tf.add(mse, tf.mul(l1, scalars['sparsity']!)), mse, fired: tf.sum(active(c), 0) };
  },
};
