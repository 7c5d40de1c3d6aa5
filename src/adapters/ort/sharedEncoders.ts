import type { DictionaryWeights } from '../../domain/dictionary.ts';
import type { SharedEncoder } from './messages.ts';

const shared = new WeakMap<Float32Array, SharedEncoder>();

/**
 * The dictionary's encoder in memory all workers see. Copied once per weights array and dropped with it, so whoever keeps
 * the dictionary decides how long the copy lives.
 */
export function shareEncoder({ config, encoder, encoderBias, threshold }: DictionaryWeights): SharedEncoder {
  const known = shared.get(encoder);
  const key = JSON.stringify([config.weightsHash, config.inputScale, config.nFeatures, config.k]);
  if (known !== undefined && known.key === key) return known;
  const data = new SharedArrayBuffer(4 * (encoder.length + encoderBias.length));
  const theta = threshold === null ? null : new Float32Array(new SharedArrayBuffer(4 * threshold.length));
  if (theta !== null) theta.set(threshold!);
  new Float32Array(data, 0, encoder.length).set(encoder);
  new Float32Array(data, 4 * encoder.length).set(encoderBias);
  const made = { key, dIn: config.dIn, nFeatures: config.nFeatures, inputScale: config.inputScale, k: config.k, threshold: theta, data };
  shared.set(encoder, made);
  return made;
}
