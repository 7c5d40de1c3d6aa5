import type { DictionaryParameters } from '../dictionary/architecture.ts';
import { CallerError, invariant } from '../domain/errors.ts';

/** A signed linear decomposition: s = reading·(x − centre), x̂ = centre + Σ s_j·writing_j. */
export interface Directions {
  /** [C, D]. */
  readonly reading: Float64Array;
  /** [C, D]; rows of unit norm, so that |s_j| is what component j adds to ‖x̂‖. */
  readonly writing: Float64Array;
  /** [D]. */
  readonly centre: Float64Array;
}

/**
 * The decomposition with codes that are never negative: feature j is the positive tail of component j, feature j + C its
 * negative tail, c_j = relu(s_j), c_{j+C} = relu(−s_j), with directions writing_j and −writing_j. As c_j − c_{j+C} = s_j,
 * nothing is lost: the reconstruction is the signed one. With `k` the k largest codes of both tails stay, as in the top-k
 * baselines of Cunningham et al. 2023, appendix G.
 */
export function signedPairs({ reading, writing, centre }: Directions, k: number | null = null): DictionaryParameters {
  const D = centre.length;
  const C = reading.length / D;
  invariant(writing.length === reading.length, 'as many writing directions as reading ones');
  const bias = Float64Array.from({ length: C }, (_, j) => {
    let sum = 0;
    for (let d = 0; d < D; d++) sum -= reading[j * D + d]! * centre[d]!;
    return sum;
  });
  return {
    encoder: bothSigns(reading),
    encoderBias: bothSigns(bias),
    threshold: null,
    decoder: bothSigns(writing),
    decoderBias: Float32Array.from(centre),
    skip: null,
    k: checkK(k, 2 * C),
  };
}

/** Codes relu(x·directionᵀ) of directions [F, D] as they are, no centre: x̂ = Σ c_j·direction_j. */
export function plainDirections(directions: Float32Array, D: number): DictionaryParameters {
  const F = directions.length / D;
  return { encoder: directions, encoderBias: new Float32Array(F), threshold: null, decoder: directions.slice(), decoderBias: new Float32Array(D), skip: null, k: null };
}

/** k itself; throws BAD_INPUT when there are fewer features. */
export function checkK(k: number | null, F: number): number | null {
  if (k !== null && (!Number.isSafeInteger(k) || k < 1 || k > F)) throw new CallerError('BAD_INPUT', `top-k: expected 1 to ${F}, the number of features, found ${k}`);
  return k;
}

function bothSigns(values: Float64Array): Float32Array {
  const out = new Float32Array(2 * values.length);
  for (let i = 0; i < values.length; i++) {
    out[i] = values[i]!;
    out[values.length + i] = 0 - values[i]!; // 0 − 0 is no negative zero
  }
  return out;
}
