import { invariant } from '../domain/errors.ts';

/** Guards the division as in the paper's code: a context where the target is silent counts as no change. */
const EPSILON = 1e-10;

/** Relative drop of a target's activation: (a − a_ablated + ε)/(a + ε). 1 = it fell silent; negative = it rose. */
export function relativeDrop(active: number, ablated: number): number {
  return (active - ablated + EPSILON) / (active + EPSILON);
}

export interface MeanEffect {
  readonly effect: number;
  /** Standard error of the mean, s/√n with n − 1 in s; 0 for n = 1, where it is not known. */
  readonly standardError: number;
  readonly n: number;
}

/** Mean of a list and its standard error. */
export function meanEffect(values: readonly number[]): MeanEffect {
  const n = values.length;
  invariant(n > 0, 'mean of no effects');
  const effect = values.reduce((sum, v) => sum + v, 0) / n;
  const squares = values.reduce((sum, v) => sum + (v - effect) ** 2, 0);
  return { effect, standardError: n === 1 ? 0 : Math.sqrt(squares / (n - 1) / n), n };
}
