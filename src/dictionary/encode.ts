import type { DictionaryWeights } from '../domain/dictionary.ts';

/**
 * c of all features for a few vectors as DictionaryWeights defines it, in plain TypeScript and double accumulation: the
 * reference for everything faster. For whole batches use SubjectModel.forward's `encode`.
 *
 * @param vectors [n, D] raw activations.
 * @param features indices j whose activations are wanted; all F when left out. Every feature is computed when k is set.
 * @returns [n, features.length]
 */
export function encode(weights: DictionaryWeights, vectors: Float32Array, features?: ArrayLike<number>): Float32Array {
  const { dIn: D, nFeatures: F, k } = weights.config;
  const K = features?.length ?? F;
  const n = vectors.length / D;
  const codes = new Float32Array(n * K);
  const all = new Float32Array(k === null ? 0 : F);
  for (let i = 0; i < n; i++) {
    if (k !== null) {
      for (let j = 0; j < F; j++) all[j] = activation(weights, vectors, i * D, j);
      keepLargestOf(all, k);
    }
    for (let at = 0; at < K; at++) {
      const j = features === undefined ? at : features[at]!;
      codes[i * K + at] = k === null ? activation(weights, vectors, i * D, j) : all[j]!;
    }
  }
  return codes;
}

/** h_j where above θ_j, else 0, for the vector at `at`. */
function activation(weights: DictionaryWeights, vectors: Float32Array, at: number, j: number): number {
  const { dIn: D, inputScale } = weights.config;
  let dot = 0;
  for (let d = 0; d < D; d++) dot += vectors[at + d]! * weights.encoder[j * D + d]!;
  const h = dot / inputScale + weights.encoderBias[j]!;
  return h > (weights.threshold?.[j] ?? 0) ? h : 0;
}

/** Zeroes all but the k largest of `c`; of equal ones the lower index stays. */
export function keepLargestOf(c: Float32Array, k: number): void {
  const active: number[] = [];
  for (let j = 0; j < c.length; j++) if (c[j]! > 0) active.push(j);
  if (active.length <= k) return;
  active.sort((a, b) => c[b]! - c[a]! || a - b);
  for (const j of active.slice(k)) c[j] = 0;
}

/**
 * x̂ [n, dOut] = outputScale · (c·decoder + decoderBias + (x/inputScale)·skipᵀ) for dense codes [n, F].
 * @param vectors [n, D] raw activations; read only where the dictionary has a linear path.
 */
export function decode(weights: DictionaryWeights, codes: Float32Array, vectors?: Float32Array): Float32Array {
  const { dIn: D, dOut, nFeatures: F, inputScale, outputScale } = weights.config;
  const n = codes.length / F;
  const out = new Float32Array(n * dOut);
  const sum = new Float64Array(dOut);
  for (let i = 0; i < n; i++) {
    sum.set(weights.decoderBias);
    for (let j = 0; j < F; j++) {
      const c = codes[i * F + j]!;
      if (c === 0) continue;
      for (let d = 0; d < dOut; d++) sum[d]! += c * weights.decoder[j * dOut + d]!;
    }
    if (weights.skip !== null) {
      for (let o = 0; o < dOut; o++) for (let d = 0; d < D; d++) sum[o]! += (vectors![i * D + d]! / inputScale) * weights.skip[o * D + d]!;
    }
    for (let d = 0; d < dOut; d++) out[i * dOut + d] = sum[d]! * outputScale;
  }
  return out;
}
