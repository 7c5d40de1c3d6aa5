import type { DictionaryWeights } from '../domain/dictionary.ts';

/**
 * c_j of selected features for a few vectors: relu(x/inputScale · e_j + b_j), in plain TypeScript and double accumulation.
 * For whole batches use SubjectModel.forward's `encode`.
 *
 * @param vectors [n, D] raw activations.
 * @param features indices j; all F when left out.
 * @returns [n, features.length]
 */
export function encode(weights: DictionaryWeights, vectors: Float32Array, features?: ArrayLike<number>): Float32Array {
  const { dIn: D, nFeatures: F, inputScale } = weights.config;
  const K = features?.length ?? F;
  const n = vectors.length / D;
  const codes = new Float32Array(n * K);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < K; k++) {
      const j = features === undefined ? k : features[k]!;
      let dot = 0;
      for (let d = 0; d < D; d++) dot += vectors[i * D + d]! * weights.encoder[j * D + d]!;
      const value = dot / inputScale + weights.encoderBias[j]!;
      if (value > 0) codes[i * K + k] = value;
    }
  }
  return codes;
}

/** x̂ = inputScale · (c·decoder + decoderBias) [n, D] for dense codes [n, F]. */
export function decode(weights: DictionaryWeights, codes: Float32Array): Float32Array {
  const { dIn: D, nFeatures: F, inputScale } = weights.config;
  const n = codes.length / F;
  const vectors = new Float32Array(n * D);
  const sum = new Float64Array(D);
  for (let i = 0; i < n; i++) {
    sum.set(weights.decoderBias);
    for (let j = 0; j < F; j++) {
      const c = codes[i * F + j]!;
      if (c === 0) continue;
      for (let d = 0; d < D; d++) sum[d]! += c * weights.decoder[j * D + d]!;
    }
    for (let d = 0; d < D; d++) vectors[i * D + d] = sum[d]! * inputScale;
  }
  return vectors;
}
