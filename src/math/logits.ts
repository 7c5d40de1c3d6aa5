/** log Σ exp of logits[at .. at+size), in double precision and shifted by the maximum. */
export function logSumExp(logits: Float32Array, at: number, size: number): number {
  const end = at + size;
  let max = -Infinity;
  for (let i = at; i < end; i++) if (logits[i]! > max) max = logits[i]!;
  let sum = 0;
  for (let i = at; i < end; i++) sum += Math.exp(logits[i]! - max);
  return max + Math.log(sum);
}

/** Probabilities softmax(logits[at .. at+size)) into `out` at the same place; `total` is their logSumExp. */
export function softmaxInto(out: Float32Array, logits: Float32Array, at: number, size: number, total: number): void {
  for (let i = at; i < at + size; i++) out[i] = Math.exp(logits[i]! - total);
}

/**
 * KL(p‖q) in nats of p = softmax(a), q = softmax(b) over [at .. at+size), as Σ p·(a − b) − logSumExp(a) + logSumExp(b): no
 * exponentials but those already taken. Rounding below zero is cut off.
 */
export function divergence(p: Float32Array, a: Float32Array, b: Float32Array, at: number, size: number, totalA: number, totalB: number): number {
  let sum = 0;
  for (let i = at; i < at + size; i++) sum += p[i]! * (a[i]! - b[i]!);
  return Math.max(0, sum - totalA + totalB);
}
