import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import { active, constant } from '../constant.ts';
import { centredProduct, meanSquaredError, reconstruction } from '../linear.ts';
import type { TfjsLoss } from '../loss.ts';

/** src/dictionary/gated.ts. */
export const gated: TfjsLoss = {
  name: 'gated',
  rules: () => ({ decoder: { unitRows: true } }),
  compute(inputs) {
    const { state, target, scalars } = inputs;
    const z = centredProduct(inputs);
    const gate = tf.add<Tensor2D>(z, state['encoderBias']!);
    const magnitude = tf.add<Tensor2D>(tf.mul(z, tf.exp(state['rescale']!)), state['magnitudeBias']!);
    const c = tf.mul<Tensor2D>(tf.relu(magnitude), active(gate));
    const p = tf.relu(gate);
    const mse = meanSquaredError(reconstruction(inputs, c), target);
    const frozen: Record<string, Tensor> = { ...state };
    for (const name of ['decoder', 'decoderBias', 'skip']) if (state[name] !== undefined) frozen[name] = constant((value) => value!, state[name]);
    const gateError = meanSquaredError(reconstruction({ ...inputs, state: frozen }, p), target);
    const l1 = tf.mean(tf.sum(p, 1));
    return { loss: tf.add(tf.add(mse, gateError), tf.mul(l1, scalars['sparsity']!)), mse, fired: tf.sum<Tensor1D>(active(c), 0) };
  },
};
