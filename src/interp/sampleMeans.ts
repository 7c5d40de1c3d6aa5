import { invariant } from '../domain/errors.ts';
import type { Rng } from '../math/rng.ts';
import { quantile, type Interval } from './bootstrap.ts';

/** Replicates of a mean over features: the ends of an interval are then good to a few hundredths of its width. */
export const MEAN_RESAMPLES = 5000;

/**
 * Bootstrap replicates of the mean of a sample: each is the mean of n draws with replacement. Features are what is drawn, as
 * they are what a mean over a dictionary is about; a feature's own score is taken as it is.
 * @returns [resamples]; empty for an empty sample.
 */
export function resampledMeans(values: readonly number[], rng: Rng, resamples = MEAN_RESAMPLES): Float64Array {
  const n = values.length;
  if (n === 0) return new Float64Array(0);
  const wide = Float64Array.from(values);
  return Float64Array.from({ length: resamples }, () => {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += wide[rng.int(n)];
    return sum / n;
  });
}

/**
 * Replicates of the mean over strata of equal weight, from the replicates of each: strata are resampled within themselves, by
 * draws independent of each other's. Empty when one of them is.
 */
export function stratifiedMeans(strata: readonly Float64Array[]): Float64Array {
  if (strata.length === 0 || strata.some(({ length }) => length === 0)) return new Float64Array(0);
  const resamples = strata[0].length;
  invariant(strata.every(({ length }) => length === resamples), 'as many replicates in every stratum');
  return Float64Array.from({ length: resamples }, (_, i) => strata.reduce((sum, means) => sum + means[i], 0) / strata.length);
}

/** The middle 95 % of replicates (percentile bootstrap); null without any. */
export function percentileInterval(replicates: Float64Array): Interval | null {
  if (replicates.length === 0) return null;
  const sorted = replicates.slice().sort();
  return { low: quantile(sorted, 0.025), high: quantile(sorted, 0.975) };
}
