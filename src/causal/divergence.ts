/**
 * Natural log-probabilities of logits[at .. at+size): log softmax in float64, shifted by the maximum, so that large
 * logits neither overflow nor lose the small differences.
 */
export function logSoftmax(logits: Float32Array, at: number, size: number): Float64Array {
  let max = -Infinity;
  for (let i = at; i < at + size; i++) if (logits[i]! > max) max = logits[i]!;
  let sum = 0;
  for (let i = at; i < at + size; i++) sum += Math.exp(logits[i]! - max);
  const shift = max + Math.log(sum);
  const out = new Float64Array(size);
  for (let i = 0; i < size; i++) out[i] = logits[at + i]! - shift;
  return out;
}

/**
 * KL(p‖q) = Σ p·(log p − log q) in nats, from log-probabilities of equal length. Zero for equal distributions; rounding
 * below zero is cut off.
 */
export function klDivergence(logP: Float64Array, logQ: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < logP.length; i++) {
    const p = Math.exp(logP[i]!);
    if (p > 0) sum += p * (logP[i]! - logQ[i]!);
  }
  return Math.max(0, sum);
}
