import type { Rng } from '../math/rng.ts';
import { centredMoments, weightedCorrelation } from './correlation.ts';
import type { SimulatedFragment } from './correlation.ts';

export interface Interval {
  readonly low: number;
  readonly high: number;
}

export const RESAMPLES = 1000;

/**
 * 95 % percentile bootstrap of the pooled correlation. Fragments are resampled, not tokens: tokens of one fragment depend on each
 * other, and treating them as independent would make the interval far too narrow. Each stratum (top, random) is resampled
 * within itself, so every replicate keeps the protocol's mix. With five fragments a stratum the interval is rough: it describes
 * the spread over these fragments, it is no exact coverage statement.
 *
 * Replicates with a constant side have no correlation and are left out; null when more than half are.
 */
export function bootstrapCorrelation(strata: readonly (readonly SimulatedFragment[])[], rng: Rng, resamples = RESAMPLES): Interval | null {
  const moments = centredMoments(strata.flat());
  const values = new Float64Array(resamples);
  let defined = 0;
  // How often each fragment is drawn says all about a replicate, and needs no allocation: this runs thousands of times a feature.
  const drawn = new Uint32Array(moments.length);
  for (let i = 0; i < resamples; i++) {
    drawn.fill(0);
    let first = 0;
    for (const { length } of strata) {
      for (let j = 0; j < length; j++) drawn[first + rng.int(length)]++;
      first += length;
    }
    const r = weightedCorrelation(moments, drawn);
    if (!Number.isNaN(r)) values[defined++] = r;
  }
  if (defined * 2 < resamples || defined === 0) return null;
  const sorted = values.subarray(0, defined).sort();
  return { low: quantile(sorted, 0.025), high: quantile(sorted, 0.975) };
}

/** Linear interpolation between order statistics (numpy's default). `sorted` ascending, not empty. */
export function quantile(sorted: ArrayLike<number>, q: number): number {
  const at = q * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}
