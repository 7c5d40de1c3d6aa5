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

/** Activations a feature needs to count as alive in the paper's code (standard_metrics.py: more than 10). */
const PAPER_ALIVE = 10;

/** Share of features active on more than 10 vectors, as the paper's code counts alive ones. Depends on how much is measured; higher is better. */
export function aliveShareOverTen(firings: ArrayLike<number>): number {
  let alive = 0;
  for (let j = 0; j < firings.length; j++) if (firings[j]! > PAPER_ALIVE) alive++;
  return alive / firings.length;
}

/**
 * How reconstructions x̂ compare with what they stand for, x (the target, for a transcoder), both raw; the definitions are
 * SAEBench's (core), taken over the whole sample instead of averaged over batches:
 *
 *     norm         = mean ‖x‖                     in the model's units
 *     l2Ratio      = mean ‖x̂‖ / ‖x‖               1 is best; below 1 the reconstruction shrinks
 *     cosine       = mean ⟨x, x̂⟩ / (‖x‖·‖x̂‖)      1 is best; 0 where x̂ = 0
 *     relativeBias = mean ‖x̂‖² / mean ⟨x, x̂⟩      1 = unbiased; below 1 shrinkage, above 1 overshoot; null where ⟨x, x̂⟩ averages 0
 *
 * Vectors x = 0 have no ratio and no cosine and are left out of these two means (null when there is no other).
 */
export interface ReconstructionQuality {
  readonly norm: number;
  readonly l2Ratio: number | null;
  readonly cosine: number | null;
  readonly relativeBias: number | null;
}

/** Sums from which reconstructionQuality follows. */
export interface ReconstructionSums {
  readonly vectors: number;
  /** Vectors other than 0. */
  readonly nonZero: number;
  readonly norm: number;
  readonly ratio: number;
  readonly cosine: number;
  /** Σ‖x̂‖². */
  readonly square: number;
  /** Σ⟨x, x̂⟩. */
  readonly product: number;
}

export const NO_RECONSTRUCTIONS: ReconstructionSums = { vectors: 0, nonZero: 0, norm: 0, ratio: 0, cosine: 0, square: 0, product: 0 };

/** Adds vectors x [n, D] and their reconstructions to the sums. */
export function addReconstructions(sums: ReconstructionSums, x: Float32Array, reconstruction: Float32Array, D: number): ReconstructionSums {
  invariant(x.length === reconstruction.length && x.length % D === 0, `${reconstruction.length} numbers reconstruct ${x.length} in vectors of ${D}`);
  // Sums of this call in variables of their own: with the old sums' fields as the loop's variables, V8 13.6 now and then gives
  // two results one set of numbers (test/pipelines/evaluate.test.ts saw it about every tenth time).
  let [nonZero, norm, ratio, cosine, square, product] = [0, 0, 0, 0, 0, 0];
  for (let start = 0; start < x.length; start += D) {
    let [xx, rr, xr] = [0, 0, 0];
    for (let d = start; d < start + D; d++) {
      xx += x[d]! * x[d]!;
      rr += reconstruction[d]! * reconstruction[d]!;
      xr += x[d]! * reconstruction[d]!;
    }
    norm += Math.sqrt(xx);
    square += rr;
    product += xr;
    if (xx === 0) continue;
    nonZero++;
    ratio += Math.sqrt(rr / xx);
    if (rr > 0) cosine += xr / Math.sqrt(xx * rr);
  }
  return {
    vectors: sums.vectors + x.length / D,
    nonZero: sums.nonZero + nonZero,
    norm: sums.norm + norm,
    ratio: sums.ratio + ratio,
    cosine: sums.cosine + cosine,
    square: sums.square + square,
    product: sums.product + product,
  };
}

export function reconstructionQuality({ vectors, nonZero, norm, ratio, cosine, square, product }: ReconstructionSums): ReconstructionQuality {
  invariant(vectors > 0, 'quality of no reconstructions');
  return {
    norm: norm / vectors,
    l2Ratio: nonZero === 0 ? null : ratio / nonZero,
    cosine: nonZero === 0 ? null : cosine / nonZero,
    relativeBias: product === 0 ? null : square / product,
  };
}
