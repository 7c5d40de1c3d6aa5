/**
 * KL(patched‖target) in nats from the patched run's logits [at .. at+V) and the target's log-probabilities [V], with one
 * exponential a token: with e_i = exp(z_i − max) and S = Σ e, Σ e_i·(z_i − max − log p_i)/S − log S. Rounding below zero
 * is cut off. NaN where the logits are not finite.
 */
export function klToTarget(logits: Float32Array, at: number, target: Float64Array): number {
  const size = target.length;
  const max = largest(logits, at, size);
  let [sum, weighted] = [0, 0];
  for (let i = 0; i < size; i++) {
    const z = logits[at + i] - max;
    const e = Math.exp(z);
    sum += e;
    if (e > 0) weighted += e * (z - target[i]);
  }
  const kl = weighted / sum - Math.log(sum);
  return kl < 0 ? 0 : kl;
}

/** ∂KL(q‖p)/∂z for q = softmax(z): q_i·(log q_i − log p_i − KL). Written to out[to .. to+V). */
export function klCotangent(logits: Float32Array, at: number, target: Float64Array, out: Float32Array, to: number): void {
  const size = target.length;
  const max = largest(logits, at, size);
  let sum = 0;
  for (let i = 0; i < size; i++) sum += Math.exp(logits[at + i] - max);
  const logSum = Math.log(sum);
  const kl = klToTarget(logits, at, target);
  for (let i = 0; i < size; i++) {
    const logQ = logits[at + i] - max - logSum;
    const q = Math.exp(logQ);
    out[to + i] = q === 0 ? 0 : q * (logQ - target[i] - kl);
  }
}

function largest(values: Float32Array, at: number, size: number): number {
  let max = -Infinity;
  for (let i = at; i < at + size; i++) if (values[i] > max) max = values[i];
  return max;
}
