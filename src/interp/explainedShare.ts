import { invariant } from '../domain/errors.ts';
import type { SimulatedFragment } from './correlation.ts';

/** A score, or why there is none. */
export type ShareScore = { readonly value: number } | { readonly value: null; readonly reason: string };

/** How far simulated values are from true ones, over the tokens of one fragment; sums, so that fragments add up. */
export interface ErrorSums {
  readonly n: number;
  /** Σ(a − s)² and Σ|a − s|. */
  readonly squaredError: number;
  readonly absoluteError: number;
  /** Σa² and Σ|a|. */
  readonly squares: number;
  readonly absolutes: number;
}

export type ShareKind = 'rsquared' | 'absdev';

/**
 * Scores of Bills et al. 2023 that ask for the right values, not only the right shape (1 = exact, 0 = as good as predicting zero
 * everywhere, below 0 = worse), pooled over the tokens of all fragments:
 *  - `rsquared`, their rsquared_score: 1 − mean((a − s)²)/mean(a²). The baseline is zero, not the mean of a: no textbook R².
 *  - `absdev`, their absolute_dev_explained_score: 1 − mean|a − s|/mean|a|.
 * Undefined when every true activation is 0. Before calibration s is on the judge's 0–10 scale, and the scores say little.
 */
export function explainedShare(fragments: readonly SimulatedFragment[], kind: ShareKind): ShareScore {
  const sums = fragments.map(errorSums);
  if (sums.every(({ n }) => n === 0)) return { value: null, reason: 'no tokens to compare' };
  const value = weightedShare(sums, kind, null);
  return Number.isNaN(value) ? { value: null, reason: 'true activations are all zero' } : { value };
}

export function errorSums({ truth, simulated }: SimulatedFragment): ErrorSums {
  invariant(truth.length === simulated.length, `${truth.length} true and ${simulated.length} simulated activations`);
  let squaredError = 0;
  let absoluteError = 0;
  let squares = 0;
  let absolutes = 0;
  for (let i = 0; i < truth.length; i++) {
    const error = truth[i] - simulated[i];
    squaredError += error * error;
    absoluteError += Math.abs(error);
    squares += truth[i] * truth[i];
    absolutes += Math.abs(truth[i]);
  }
  return { n: truth.length, squaredError, absoluteError, squares, absolutes };
}

/** The score with fragment i counted `times[from + i]` times (once where times is null); NaN where it is undefined. */
export function weightedShare(parts: readonly ErrorSums[], kind: ShareKind, times: ArrayLike<number> | null, from = 0): number {
  let error = 0;
  let whole = 0;
  for (let i = 0; i < parts.length; i++) {
    const w = times === null ? 1 : times[from + i];
    error += w * (kind === 'rsquared' ? parts[i].squaredError : parts[i].absoluteError);
    whole += w * (kind === 'rsquared' ? parts[i].squares : parts[i].absolutes);
  }
  return whole > 0 ? 1 - error / whole : NaN;
}
