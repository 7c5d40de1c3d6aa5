import { Rng } from '../math/rng.ts';
import { centredMoments, correlationOf } from './correlation.ts';
import type { Moments, SimulatedFragment } from './correlation.ts';

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
  const grouped: Moments[][] = [];
  let at = 0;
  for (const stratum of strata) {
    grouped.push(moments.slice(at, at + stratum.length));
    at += stratum.length;
  }
  const values: number[] = [];
  for (let i = 0; i < resamples; i++) {
    const drawn: Moments[] = [];
    for (const group of grouped) for (let j = 0; j < group.length; j++) drawn.push(rng.pick(group));
    const { value } = correlationOf(drawn);
    if (value !== null) values.push(value);
  }
  if (values.length * 2 < resamples || values.length === 0) return null;
  values.sort((a, b) => a - b);
  return { low: quantile(values, 0.025), high: quantile(values, 0.975) };
}

/** Linear interpolation between order statistics (numpy's default). `sorted` ascending, not empty. */
export function quantile(sorted: readonly number[], q: number): number {
  const at = q * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}
