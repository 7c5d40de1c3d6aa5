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
  if (parts.every((part) => part.n === 0)) return { value: null, reason: 'no tokens to compare' };
  const sums = add(parts, null);
  if (!varies(sums.xx, sums.x, sums.n)) return { value: null, reason: 'true activations are constant' };
  if (!varies(sums.yy, sums.y, sums.n)) return { value: null, reason: 'simulated activations are constant' };
  return { value: pearson(sums) };
}

/** The same with fragment i counted `times[from + i]` times; NaN where it is undefined. */
export function weightedCorrelation(parts: readonly Moments[], times: ArrayLike<number>, from = 0): number {
  const sums = add(parts, times, from);
  return varies(sums.xx, sums.x, sums.n) && varies(sums.yy, sums.y, sums.n) ? pearson(sums) : NaN;
}

function add(parts: readonly Moments[], times: ArrayLike<number> | null, from = 0): Moments {
  const sums = { n: 0, x: 0, y: 0, xx: 0, yy: 0, xy: 0 };
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i];
    const w = times === null ? 1 : times[from + i];
    sums.n += w * part.n;
    sums.x += w * part.x;
    sums.y += w * part.y;
    sums.xx += w * part.xx;
    sums.yy += w * part.yy;
    sums.xy += w * part.xy;
  }
  return sums;
}

/** Whether n values with these raw moments differ, beyond what rounding can leave of equal ones. */
function varies(squares: number, sum: number, n: number): boolean {
  return squares - (sum * sum) / n > 1e-12 * squares;
}

function pearson({ n, x, y, xx, yy, xy }: Moments): number {
  const r = (xy - (x * y) / n) / Math.sqrt((xx - (x * x) / n) * (yy - (y * y) / n));
  return Math.max(-1, Math.min(1, r));
}
