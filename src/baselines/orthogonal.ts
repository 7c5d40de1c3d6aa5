import { timesTransposed, transposed } from '../math/matrices.ts';

/** Steps after which the iteration stops whatever its distance; singular values below 1.5^-80 of the largest stay behind. */
export const ORTHOGONAL_STEPS = 100;

/**
 * Start of the iteration for the nearest orthogonal matrix: W divided by √‖W·Wᵀ‖∞, which is at least its largest singular
 * value (Hyvärinen 1999, section 3.4).
 */
export function orthogonalStart(W: Float64Array): Float64Array {
  const C = Math.sqrt(W.length);
  const gram = timesTransposed(W, W, C);
  let largest = 0;
  for (let i = 0; i < C; i++) {
    let sum = 0;
    for (let j = 0; j < C; j++) sum += Math.abs(gram[i * C + j]!);
    largest = Math.max(largest, sum);
  }
  return W.map((value) => value / Math.sqrt(largest));
}

/**
 * W ← 3/2·W − 1/2·W·Wᵀ·W (Hyvärinen 1999, section 3.4): every singular value s becomes (3s − s³)/2, so those in (0, √3) go
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
