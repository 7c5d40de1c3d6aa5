import { invariant } from '../domain/errors.ts';

/** One fragment's true activations and those simulated from an explanation; equal lengths. */
export interface SimulatedFragment {
  readonly truth: ArrayLike<number>;
  readonly simulated: ArrayLike<number>;
}

/** A correlation, or why there is none. Never a number standing in for "undefined". */
export type Correlation = { readonly value: number } | { readonly value: null; readonly reason: string };

/** Sums over the tokens of one fragment, of values centred by a common shift; addable. */
export interface Moments {
  readonly n: number;
  readonly x: number;
  readonly y: number;
  readonly xx: number;
  readonly yy: number;
  readonly xy: number;
}

/**
 * ev_correlation_score of Bills et al. 2023: Pearson's r over the tokens of all fragments concatenated (not the mean of
 * per-fragment correlations), −1 to 1, higher is better. Undefined when either side is constant.
 */
export function evCorrelation(fragments: readonly SimulatedFragment[]): Correlation {
  return correlationOf(centredMoments(fragments));
}

/**
 * Moments of each fragment about the means over all of them: the centring makes the one-pass sums as accurate as two
 * passes, and sums of any multiset of fragments still give its exact correlation (used by the bootstrap).
 */
export function centredMoments(fragments: readonly SimulatedFragment[]): readonly Moments[] {
  let n = 0;
  let sumX = 0;
  let sumY = 0;
  for (const { truth, simulated } of fragments) {
    invariant(truth.length === simulated.length, `${truth.length} true and ${simulated.length} simulated activations`);
    for (let i = 0; i < truth.length; i++) {
      sumX += truth[i];
      sumY += simulated[i];
    }
    n += truth.length;
  }
  const meanX = n === 0 ? 0 : sumX / n;
  const meanY = n === 0 ? 0 : sumY / n;
  return fragments.map(({ truth, simulated }) => {
    let x = 0;
    let y = 0;
    let xx = 0;
    let yy = 0;
    let xy = 0;
    for (let i = 0; i < truth.length; i++) {
      const dx = truth[i] - meanX;
      const dy = simulated[i] - meanY;
      x += dx;
      y += dy;
      xx += dx * dx;
      yy += dy * dy;
      xy += dx * dy;
    }
    return { n: truth.length, x, y, xx, yy, xy };
  });
}

/** Pearson's r of the union of fragments given by their moments about one common point. */
export function correlationOf(parts: readonly Moments[]): Correlation {
  let n = 0;
  let x = 0;
  let y = 0;
  let xx = 0;
  let yy = 0;
  let xy = 0;
  for (const part of parts) {
    n += part.n;
    x += part.x;
    y += part.y;
    xx += part.xx;
    yy += part.yy;
    xy += part.xy;
  }
  if (n === 0) return { value: null, reason: 'no tokens to compare' };
  const varX = xx - (x * x) / n;
  const varY = yy - (y * y) / n;
  // Relative to the raw second moment, what rounding alone can leave of a constant side.
  if (!(varX > 1e-12 * xx)) return { value: null, reason: 'true activations are constant' };
  if (!(varY > 1e-12 * yy)) return { value: null, reason: 'simulated activations are constant' };
  const r = (xy - (x * y) / n) / Math.sqrt(varX * varY);
  return { value: Math.max(-1, Math.min(1, r)) };
}
