import { invariant } from '../domain/errors.ts';

const COVERAGE = 0.95;
/** Beyond this the quantile differs from the normal one by less than 0.001. */
const MANY = 2000;
const known = new Map<number, number>();

/**
 * Half the width of the 95 % confidence interval of a mean: t·standardError with Student's t for n − 1 degrees of freedom.
 * Null for n < 2, where the spread is not known. The interval assumes that the contexts are drawn independently.
 */
export function halfWidth95({ standardError, n }: { readonly standardError: number; readonly n: number }): number | null {
  return n < 2 ? null : tQuantile(n - 1) * standardError;
}

/** The t with P(|T| ≤ t) = 0.95 for ν degrees of freedom, by bisection; to 1e-9. */
export function tQuantile(degrees: number): number {
  invariant(Number.isInteger(degrees) && degrees > 0, 'degrees of freedom');
  const nu = Math.min(degrees, MANY);
  let found = known.get(nu);
  if (found === undefined) {
    let [low, high] = [1.9, 13];
    while (high - low > 1e-9) {
      const middle = (low + high) / 2;
      if (within(middle, nu) < COVERAGE) low = middle;
      else high = middle;
    }
    known.set(nu, (found = high));
  }
  return found;
}

/** P(|T| ≤ t), exact for whole ν: Abramowitz & Stegun 1964, 26.7.3 and 26.7.4. */
function within(t: number, nu: number): number {
  const theta = Math.atan(t / Math.sqrt(nu));
  const cos = Math.cos(theta);
  const odd = nu % 2 === 1;
  let term = odd ? cos : 1;
  let sum = 0;
  for (let k = odd ? 1 : 0; k <= nu - 2; k += 2) {
    sum += term;
    term *= ((k + 1) / (k + 2)) * cos * cos;
  }
  return odd ? (2 / Math.PI) * (theta + Math.sin(theta) * sum) : Math.sin(theta) * sum;
}
