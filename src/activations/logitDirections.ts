import type { DictionaryWeights } from '../domain/dictionary.ts';

/**
 * Each feature's direction [F, dOut] as the unembedding sees it, per unit of activation: outputScale·f_j, centred when the
 * final norm subtracts the mean (LayerNorm; RMSNorm does not), times the norm's gain. Inner products with rows of the
 * unembedding are then the change of logits, up to the norm's scale, which depends on the token. Holds where the
 * dictionary writes to the residual stream or to what is added to it, not for one that writes at mlp_in.
 */
export function logitDirections(weights: DictionaryWeights, gain: Float32Array, centred: boolean): Float32Array {
  const { dOut: d, nFeatures, outputScale } = weights.config;
  const out = new Float32Array(nFeatures * d);
  for (let j = 0; j < nFeatures; j++) {
    let mean = 0;
    if (centred) for (let q = 0; q < d; q++) mean += weights.decoder[j * d + q] / d;
    for (let q = 0; q < d; q++) out[j * d + q] = outputScale * (weights.decoder[j * d + q] - mean) * gain[q];
  }
  return out;
}

/** Decoder rows [F, dOut] at unit length, so that inner products are cosines; a zero row stays zero. */
export function unitRows(weights: DictionaryWeights): Float32Array {
  const { dOut: d, nFeatures } = weights.config;
  const out = new Float32Array(nFeatures * d);
  for (let j = 0; j < nFeatures; j++) {
    let squares = 0;
    for (let q = 0; q < d; q++) squares += weights.decoder[j * d + q] ** 2;
    const inverse = squares === 0 ? 0 : 1 / Math.sqrt(squares);
    for (let q = 0; q < d; q++) out[j * d + q] = weights.decoder[j * d + q] * inverse;
  }
  return out;
}
