/** Mean of a sample with the half-width of its 95 % interval, 1.96·sd/√n (sd with n − 1), as the paper's error bars. */
export interface MeanInterval {
  readonly n: number;
  /** Null for an empty sample. */
  readonly mean: number | null;
  /** Null below two values. */
  readonly halfWidth: number | null;
}

export function meanInterval(values: readonly number[]): MeanInterval {
  const n = values.length;
  if (n === 0) return { n, mean: null, halfWidth: null };
  let sum = 0;
  for (const v of values) sum += v;
  const mean = sum / n;
  if (n === 1) return { n, mean, halfWidth: null };
  let squares = 0;
  for (const v of values) squares += (v - mean) ** 2;
  return { n, mean, halfWidth: 1.96 * Math.sqrt(squares / (n - 1) / n) };
}
