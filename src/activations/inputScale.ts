/**
 * mean‖x‖ / √D of vectors [n, D], in double precision. Dividing activations by it makes the mean norm √D, so that one L1
 * coefficient means about the same in every layer and model.
 */
export function expectedNormScale(vectors: Float32Array, D: number): number {
  let total = 0;
  for (let start = 0; start < vectors.length; start += D) {
    let sum = 0;
    for (let d = start; d < start + D; d++) sum += vectors[d]! * vectors[d]!;
    total += Math.sqrt(sum);
  }
  return total / (vectors.length / D) / Math.sqrt(D);
}

/** Divides in place. */
export function divideBy(vectors: Float32Array, scale: number): void {
  if (scale === 1) return;
  for (let i = 0; i < vectors.length; i++) vectors[i] = vectors[i]! / scale;
}
