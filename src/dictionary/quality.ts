import type { DictionaryQuality } from '../domain/dictionary.ts';
import { invariant } from '../domain/errors.ts';

/** Sums over held-out vectors; see EvaluationSums of the training engine. */
export interface QualitySums {
  readonly vectors: number;
  /** Σ‖x − x̂‖². */
  readonly squaredError: number;
  /** Vectors on which each feature is active [F]. */
  readonly firings: ArrayLike<number>;
}

/**
 * The metrics of a dictionary, each defined here and nowhere else:
 *
 *     fvu        = Σ‖x − x̂‖² / Σ‖x − x̄‖²    fraction of variance unexplained; x̄ = mean of all vectors measured; lower is better
 *     l0         = Σ_j P(c_j > 0)            mean number of active features per vector
 *     aliveShare = share of features active on at least one vector measured; higher is better
 *
 * @param variance Σ‖x − x̄‖² of the same vectors in the same space (VarianceMeter).
 */
export function quality(sums: QualitySums, variance: number): DictionaryQuality {
  invariant(sums.vectors > 0 && variance > 0, `quality of ${sums.vectors} vectors with variance ${variance}`);
  let fired = 0;
  let alive = 0;
  for (let j = 0; j < sums.firings.length; j++) {
    fired += sums.firings[j]!;
    if (sums.firings[j]! > 0) alive++;
  }
  return {
    fvu: sums.squaredError / variance,
    l0: fired / sums.vectors,
    aliveShare: alive / sums.firings.length,
    vectors: sums.vectors,
  };
}

export function addSums(a: QualitySums, b: QualitySums): QualitySums {
  return {
    vectors: a.vectors + b.vectors,
    squaredError: a.squaredError + b.squaredError,
    firings: Float64Array.from(a.firings, (count, j) => count + b.firings[j]!),
  };
}
