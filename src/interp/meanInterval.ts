/** Mean of a sample with the half-width of its 95 % interval, quantile·sd/√n (sd with n − 1). */
export interface MeanInterval {
  readonly n: number;
  /** Null for an empty sample. */
  readonly mean: number | null;
  /** Null below two values. */
  readonly halfWidth: number | null;
}

/** @param quantile of n − 1 degrees of freedom; 1.96 for all when left out, as the paper's error bars: too narrow where n is small. */
export function meanInterval(values: readonly number[], quantile: (degrees: number) => number = () => 1.96): MeanInterval {
  const n = values.length;
  if (n === 0) return { n, mean: null, halfWidth: null };
  let sum = 0;
  for (const v of values) sum += v;
  const mean = sum / n;
  if (n === 1) return { n, mean, halfWidth: null };
  let squares = 0;
  for (const v of values) squares += (v - mean) ** 2;
  return { n, mean, halfWidth: quantile(n - 1) * Math.sqrt(squares / (n - 1) / n) };
}
