import type { DictionaryWeights } from '../domain/dictionary.ts';
import { CallerError } from '../domain/errors.ts';

/** A dimension of the hook point's own basis, as a feature c = relu(sign·x_d): the paper's identity baseline. */
export interface BasisDirection {
  readonly dimension: number;
  readonly sign: 1 | -1;
  /** Share of the squared encoder weights that lie on it. */
  readonly share: number;
}

/**
 * The dimension that a feature's encoder reads with the rank-th greatest weight, with the weight's sign, for comparison with
 * the feature (Cunningham et al. 2023, appendix D.1, took the tenth).
 *
 * @throws BAD_INPUT for a rank beyond the dimensions.
 */
export function basisDirection({ encoder, config: { dIn } }: DictionaryWeights, index: number, rank = 1): BasisDirection {
  if (!Number.isInteger(rank) || rank < 1 || rank > dIn) throw new CallerError('BAD_INPUT', `basis rank ${rank}: expected 1 to ${dIn}, the dimensions there are`);
  const row = encoder.subarray(index * dIn, (index + 1) * dIn);
  const order = Array.from(row, (_, d) => d).sort((a, b) => Math.abs(row[b]) - Math.abs(row[a]) || a - b);
  const dimension = order[rank - 1];
  const squares = row.reduce((sum, value) => sum + value * value, 0);
  return { dimension, sign: row[dimension] < 0 ? -1 : 1, share: squares === 0 ? 0 : row[dimension] ** 2 / squares };
}

/** A dictionary of that one direction where `like` reads, for the intervention engine: ablating it sets the half of the dimension to 0. */
export function basisDictionary(like: DictionaryWeights, { dimension, sign }: BasisDirection): DictionaryWeights {
  const { config } = like;
  const direction = new Float32Array(config.dIn);
  direction[dimension] = sign;
  return {
    config: {
      ...config, name: `${config.name}-dimension-${dimension}`, outputHookPoint: null, architecture: 'neuron', dOut: config.dIn, nFeatures: 1, k: null, l1: null, inputScale: 1, outputScale: 1,
      weightsHash: `dimension ${sign * (dimension + 1)} of ${config.dIn} at ${config.hookPoint}`,
    },
    encoder: direction,
    encoderBias: new Float32Array(1),
    threshold: null,
    decoder: direction,
    decoderBias: new Float32Array(config.dIn),
    skip: null,
  };
}
