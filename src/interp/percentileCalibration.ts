import type { Calibration } from './calibration.ts';
import type { SimulatedFragment } from './correlation.ts';

/**
 * Percentile matching (Bills et al. 2023): the nth percentile of the simulated activations of the calibration fragments becomes the
 * nth percentile of the true ones; between two known values the line through them, beyond the ends the end. Of equal simulated
 * values the last counts, as with numpy.interp over the sorted values, so a tie becomes the largest true value of its ranks.
 */
export function percentileCalibration(fragments: readonly SimulatedFragment[]): Calibration {
  const truth = Float64Array.from(fragments.flatMap((f) => Array.from(f.truth))).sort();
  const simulated = Float64Array.from(fragments.flatMap((f) => Array.from(f.simulated))).sort();
  const n = truth.length;
  if (n === 0) return { reason: 'no calibration fragments' };
  if (simulated[0] === simulated[n - 1]) return { reason: 'simulated activations of the calibration fragments are constant' };
  return {
    apply: (values) =>
      Float64Array.from(values, (s) => {
        if (s < simulated[0]) return truth[0];
        if (s >= simulated[n - 1]) return truth[n - 1];
        const j = lastAtMost(simulated, s);
        const slope = (truth[j + 1] - truth[j]) / (simulated[j + 1] - simulated[j]);
        return slope * (s - simulated[j]) + truth[j];
      }),
  };
}

/** Greatest j with sorted[j] <= value; sorted[0] <= value < sorted[n - 1]. */
function lastAtMost(sorted: Float64Array, value: number): number {
  let low = 0;
  let high = sorted.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if (sorted[middle] <= value) low = middle;
    else high = middle;
  }
  return low;
}
