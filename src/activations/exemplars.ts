import type { ExemplarKind } from '../domain/feature.ts';
import type { KeptFragment } from './topExemplars.ts';

/** Bands of the quantile exemplars and how many exemplars each gives. */
export const QUANTILE_BANDS = 5;
export const PER_BAND = 4;
/** Exemplars chosen at random. */
export const RANDOM_EXEMPLARS = 20;
/** Fragments the uniform sample keeps for each feature: the random ones, and those the quantile bands are cut from. */
export const SAMPLE_SIZE = RANDOM_EXEMPLARS + QUANTILE_BANDS * PER_BAND;

export interface ChosenFragment {
  readonly kind: ExemplarKind;
  readonly rank: number;
  readonly kept: KeptFragment;
}

/**
 * Random and quantile exemplars from one uniform sample of a feature's active fragments (max > 0), given in the order of
 * their sampling priority, which is random.
 *
 * The first 20 are the random exemplars. The quantile bands come from the other fragments (from all of them while there
 * are no more than 20 others): sorted by their max they are cut into five bands of equal count, so band b stands for the
 * quantiles b/5 to (b+1)/5 of the max over active fragments, estimated from the sample; each gives up to four, evenly
 * spaced. A feature with fewer than 40 active fragments has some under both kinds.
 */
export function chooseSampled(sample: readonly KeptFragment[]): ChosenFragment[] {
  const chosen: ChosenFragment[] = sample.slice(0, RANDOM_EXEMPLARS).map((kept, rank) => ({ kind: 'random', rank, kept }));
  const wanted = QUANTILE_BANDS * PER_BAND;
  const pool = sample
    .slice(Math.max(0, Math.min(RANDOM_EXEMPLARS, sample.length - wanted)))
    .map((kept) => ({ kept, max: maxOf(kept.activations) }))
    .sort((a, b) => a.max - b.max || a.kept.fragment - b.kept.fragment);
  for (let band = 0; band < QUANTILE_BANDS; band++) {
    const from = Math.floor((band * pool.length) / QUANTILE_BANDS);
    const count = Math.floor(((band + 1) * pool.length) / QUANTILE_BANDS) - from;
    const take = Math.min(PER_BAND, count);
    for (let i = 0; i < take; i++) {
      const place = from + Math.floor(((i + 0.5) * count) / take);
      chosen.push({ kind: 'quantile', rank: band * 1000 + i, kept: pool[place].kept });
    }
  }
  return chosen;
}

export function maxOf(values: Float32Array): number {
  let max = 0;
  for (const value of values) if (value > max) max = value;
  return max;
}
