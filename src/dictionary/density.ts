import { invariant } from '../domain/errors.ts';

/**
 * How many features are active how often. The density of a feature is the share of vectors on which it is active; bin i
 * counts features with 10^(from + i·width) ≤ density < 10^(from + (i+1)·width), the last also density 1, the first also
 * anything less. Features never active are counted in `dead` alone.
 */
export interface DensityHistogram {
  /** log10 of the lower edge of the first bin. */
  readonly from: number;
  /** Width of a bin in log10. */
  readonly width: number;
  readonly counts: readonly number[];
  readonly dead: number;
}

const FROM = -6;
const WIDTH = 0.25;
const BINS = -FROM / WIDTH;

/** @param firings vectors on which each feature is active [F], of `vectors` in all. */
export function densityHistogram(firings: ArrayLike<number>, vectors: number): DensityHistogram {
  invariant(vectors > 0, 'a density of no vectors');
  const counts = Array.from({ length: BINS }, () => 0);
  let dead = 0;
  for (let j = 0; j < firings.length; j++) {
    if (firings[j] === 0) {
      dead++;
      continue;
    }
    const bin = Math.floor((Math.log10(firings[j]! / vectors) - FROM) / WIDTH);
    counts[Math.max(0, Math.min(BINS - 1, bin))]!++;
  }
  return { from: FROM, width: WIDTH, counts, dead };
}
