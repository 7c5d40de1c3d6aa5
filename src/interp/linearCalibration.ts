import type { SimulatedFragment } from './correlation.ts';
import { centredMoments } from './correlation.ts';
import type { Calibration } from './calibration.ts';

/**
 * Least-squares line from simulated to true activations over the tokens of the calibration fragments (Bills et al. 2023, linear
 * calibration): s ↦ slope·s + intercept. Correlations stay as they are where the slope is positive and change sign where it is
 * negative, so they are not scored again. There is no line through equal simulated values.
 */
export function linearCalibration(fragments: readonly SimulatedFragment[]): Calibration {
  let n = 0;
  let sumTruth = 0;
  let sumSimulated = 0;
  for (const { truth, simulated } of fragments) {
    for (let i = 0; i < truth.length; i++) {
      sumTruth += truth[i];
      sumSimulated += simulated[i];
    }
    n += truth.length;
  }
  if (n === 0) return { reason: 'no calibration fragments' };
  // x is the truth, y the simulation, both centred about their means.
  let yy = 0;
  let xy = 0;
  for (const part of centredMoments(fragments)) {
    yy += part.yy;
    xy += part.xy;
  }
  const mean = sumSimulated / n;
  if (!(yy > 1e-12 * (yy + n * mean * mean))) return { reason: 'simulated activations of the calibration fragments are constant' };
  const slope = xy / yy;
  const intercept = sumTruth / n - slope * mean;
  return { apply: (values) => Float64Array.from(values, (s) => slope * s + intercept) };
}
