import { Rng } from '../math/rng.ts';
import { quantile } from './bootstrap.ts';
import type { Interval } from './bootstrap.ts';
import type { WeightedScore } from './classification.ts';

export const WINDOW_RESAMPLES = 1000;

/**
 * 95 % percentile bootstrap over windows, those of either class resampled among themselves, so that every replicate keeps the
 * classes' sizes and no score is undefined in one that is defined on the sample. Windows judged in one request are taken as
 * independent. All scores share the draws, which depend on the seed and the classes' places alone.
 *
 * When every window is judged alike the interval is a point: it speaks of these windows, it is no bound on what others would show.
 * @returns one interval per score; null when a replicate has no value.
 */
export function stratifiedIntervals(truth: readonly boolean[], scores: readonly WeightedScore[], seed: number, resamples = WINDOW_RESAMPLES): readonly (Interval | null)[] {
  const places = [true, false].map((is) => Uint32Array.from(truth.keys().filter((i) => truth[i] === is)));
  const rng = Rng.derive(seed, 'windows bootstrap', places[0].length, places[1].length);
  const values = scores.map(() => new Float64Array(resamples));
  const weights = new Uint16Array(truth.length);
  for (let r = 0; r < resamples; r++) {
    weights.fill(0);
    for (const stratum of places) for (let i = 0; i < stratum.length; i++) weights[stratum[rng.int(stratum.length)]]++;
    scores.forEach((score, s) => (values[s][r] = score(weights)));
  }
  return values.map((of) => (of.some(Number.isNaN) ? null : { low: quantile(of.sort(), 0.025), high: quantile(of, 0.975) }));
}
