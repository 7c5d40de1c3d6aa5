import { invariant } from '../domain/errors.ts';
import { matchRows } from '../math/hungarian.ts';

/** Directions of two sets paired one to one so that the sum of cosines is greatest; the larger set keeps some unpaired. */
export interface Matching {
  /** Size of the smaller set. */
  readonly pairs: number;
  /** Mean cosine of the pairs; higher = more alike. At most the mmcs of the smaller set to the larger. */
  readonly mean: number;
  /** Share of the pairs whose cosine exceeds the threshold. */
  readonly shareAbove: number;
}

/** @param cosines [n, m]. */
export function matchDirections(cosines: Float32Array, n: number, m: number, threshold: number): Matching {
  invariant(n > 0 && m > 0 && cosines.length === n * m, `${cosines.length} cosines of ${n} and ${m} directions`);
  const wide = n <= m;
  const [rows, cols] = wide ? [n, m] : [m, n];
  const values = wide ? cosines : transposed(cosines, n, m);
  let sum = 0;
  let above = 0;
  for (const [row, column] of matchRows(values, rows, cols).entries()) {
    const cosine = values[row * cols + column]!;
    sum += cosine;
    if (cosine > threshold) above++;
  }
  return { pairs: rows, mean: sum / rows, shareAbove: above / rows };
}

function transposed(values: Float32Array, n: number, m: number): Float32Array {
  const out = new Float32Array(values.length);
  for (let i = 0; i < n; i++) for (let j = 0; j < m; j++) out[j * n + i] = values[i * m + j]!;
  return out;
}
