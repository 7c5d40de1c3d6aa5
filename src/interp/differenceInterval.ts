import type { Interval } from './bootstrap.ts';
import { percentileInterval } from './sampleMeans.ts';

/**
 * 95 % interval of a difference of two means, from bootstrap replicates of both: features of two dictionaries are independent
 * samples, so the i-th replicate of one may be set against the i-th of the other. Null when either side is empty.
 */
export function differenceInterval(a: Float64Array, b: Float64Array): Interval | null {
  return a.length === 0 || b.length === 0 ? null : percentileInterval(a.map((value, i) => value - b[i]));
}
