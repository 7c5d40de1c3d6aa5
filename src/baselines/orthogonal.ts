import { timesTransposed, transposed } from '../math/matrices.ts';

/** Steps after which the iteration stops whatever its distance; singular values below 1.5^-80 of the largest stay behind. */
export const ORTHOGONAL_STEPS = 100;

/**
 * Start of the iteration for the nearest orthogonal matrix: W divided by a bound on its largest singular value that costs
 * only C² operations, the smaller of its Frobenius norm and √(‖W‖₁·‖W‖∞).
 */
export function orthogonalStart(W: Float64Array): Float64Array {
  const C = Math.sqrt(W.length);
  const rows = new Float64Array(C);
  const columns = new Float64Array(C);
  let squares = 0;
  for (let i = 0; i < C; i++) {
    for (let j = 0; j < C; j++) {
      const value = Math.abs(W[i * C + j]!);
      rows[i]! += value;
      columns[j]! += value;
      squares += value * value;
    }
  }
  const bound = Math.min(Math.sqrt(squares), Math.sqrt(rows.reduce(larger, 0) * columns.reduce(larger, 0)));
  return W.map((value) => value / bound);
}

const larger = (a: number, b: number): number => Math.max(a, b);

/**
 * W ← 3/2·W − 1/2·W·Wᵀ·W, the iterative orthogonalisation of Hyvärinen 1999: every singular value s becomes (3s − s³)/2, so those in (0, √3) go
 * to 1, at the end quadratically. `distance` = max|W·Wᵀ − I| before the step.
 */
export function orthogonalStep(W: Float64Array): { readonly next: Float64Array; readonly distance: number } {
  const C = Math.sqrt(W.length);
  const gram = timesTransposed(W, W, C);
  let distance = 0;
  for (let i = 0; i < C * C; i++) distance = Math.max(distance, Math.abs(gram[i]! - (i % (C + 1) === 0 ? 1 : 0)));
  const product = timesTransposed(gram, transposed(W, C), C);
  return { next: W.map((value, i) => 1.5 * value - 0.5 * product[i]!), distance };
}
