import type { DictionaryWeights } from '../../domain/dictionary.ts';
import type { SharedEncoder } from './messages.ts';

interface Shared {
  readonly encoderBias: Float32Array;
  readonly threshold: Float32Array | null;
  readonly weightsHash: string;
  readonly made: Omit<SharedEncoder, 'k'>;
}

const shared = new WeakMap<Float32Array, Shared>();
let unnamed = 0;

/**
 * The dictionary's encoder in memory all workers see. Copied once per weights array and dropped with it, so whoever keeps
 * the dictionary decides how long the copy lives.
 */
export function shareEncoder({ config, encoder, encoderBias, threshold }: DictionaryWeights): SharedEncoder {
  const { weightsHash, inputScale, nFeatures, dIn, k } = config;
  let known = shared.get(encoder);
  const same =
    known !== undefined && known.encoderBias === encoderBias && known.threshold === threshold &&
    known.weightsHash === weightsHash && known.made.inputScale === inputScale && known.made.nFeatures === nFeatures;
  if (known === undefined || !same) {
    const data = new SharedArrayBuffer(4 * (encoder.length + encoderBias.length));
    new Float32Array(data, 0, encoder.length).set(encoder);
    new Float32Array(data, 4 * encoder.length).set(encoderBias);
    // Weights that were never written have no hash: they must not pass for one another.
    const key = JSON.stringify([weightsHash === '' ? unnamed++ : weightsHash, inputScale, nFeatures]);
    known = { encoderBias, threshold, weightsHash, made: { key, dIn, nFeatures, inputScale, threshold: copyOf(threshold), data } };
    shared.set(encoder, known);
  }
  return { ...known.made, k };
}

function copyOf(threshold: Float32Array | null): Float32Array | null {
  if (threshold === null) return null;
  const copy = new Float32Array(new SharedArrayBuffer(4 * threshold.length));
  copy.set(threshold);
  return copy;
}
