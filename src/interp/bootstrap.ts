import { Rng } from '../math/rng.ts';
import { centredMoments, weightedCorrelation } from './correlation.ts';
import type { SimulatedFragment } from './correlation.ts';

export interface Interval {
  readonly low: number;
  readonly high: number;
}

const RESAMPLES = 1000;

/**
 * 95 % percentile bootstrap of a score pooled over fragments (of detection: windows). Fragments are resampled, not tokens: tokens of
 * one fragment depend on each other, and treating them as independent would make the interval far too narrow. Each stratum (top and
 * random; active and silent) is resampled within itself, so every replicate keeps the protocol's mix. With five fragments a stratum the interval is rough: it describes
 * the spread over these fragments, it is no exact coverage statement.
 *
 * Which fragments a replicate draws depends on the seed and the numbers of fragments alone: all features of a run share the
 * draws, so they are made once, and a feature's interval does not depend on which others were scored.
 */
export class Bootstrap {
  readonly #seed: number;
  readonly #resamples: number;
  /** By shape: how often each replicate draws each fragment [resamples, fragments]. */
  readonly #draws: Map<string, Uint16Array> = new Map();

  constructor(seed: number, resamples = RESAMPLES) {
    this.#seed = seed;
    this.#resamples = resamples;
  }

  /** Interval of the pooled correlation. Replicates with a constant side have none and are left out; null when more than half are. */
  interval(strata: readonly (readonly SimulatedFragment[])[]): Interval | null {
    const moments = centredMoments(strata.flat());
    return this.intervalOf(strata.map((stratum) => stratum.length), (draws, from) => weightedCorrelation(moments, draws, from));
  }

  /**
   * Interval of any statistic over fragments, which come in strata of `shape` sizes. `statistic` counts fragment i `times[from + i]`
   * times and gives NaN where it is undefined; null when it is so for more than half the replicates.
   */
  intervalOf(shape: readonly number[], statistic: (times: ArrayLike<number>, from: number) => number): Interval | null {
    const draws = this.#drawsOf(shape);
    const fragments = shape.reduce((a, b) => a + b, 0);
    const values = new Float64Array(this.#resamples);
    let defined = 0;
    for (let i = 0; i < this.#resamples; i++) {
      const value = statistic(draws, i * fragments);
      if (!Number.isNaN(value)) values[defined++] = value;
    }
    if (defined * 2 < this.#resamples || defined === 0) return null;
    const sorted = values.subarray(0, defined).sort();
    return { low: quantile(sorted, 0.025), high: quantile(sorted, 0.975) };
  }

  #drawsOf(shape: readonly number[]): Uint16Array {
    const key = shape.join(' ');
    const known = this.#draws.get(key);
    if (known !== undefined) return known;
    const fragments = shape.reduce((a, b) => a + b, 0);
    const draws = new Uint16Array(this.#resamples * fragments);
    const rng = Rng.derive(this.#seed, 'bootstrap', key);
    for (let i = 0; i < this.#resamples; i++) {
      let first = i * fragments;
      for (const count of shape) {
        for (let j = 0; j < count; j++) draws[first + rng.int(count)]++;
        first += count;
      }
    }
    this.#draws.set(key, draws);
    return draws;
  }
}

/** Linear interpolation between order statistics (numpy's default). `sorted` ascending, not empty. */
export function quantile(sorted: ArrayLike<number>, q: number): number {
  const at = q * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}
