import type { DictionaryWeights } from '../domain/dictionary.ts';
import type { SparseCodes } from '../domain/sparseCodes.ts';

/** One vector of an array of vectors: where it starts. */
export interface VectorAt {
  readonly data: Float32Array;
  readonly at: number;
}

/**
 * Writes at delta[at .. at+dOut) what turns y into the dictionary's whole reconstruction, x̂ − y with
 * x̂ = outputScale · (ĉ·decoder + decoderBias + (x/inputScale)·skipᵀ), so that nothing of the error term y − x̂ stays. ĉ is
 * the codes' row but for the features in `changed`. Summed in float64; whatever stood in delta there is overwritten.
 *
 * @param x what the dictionary read (used only by a linear path).
 * @param y what stands at its output hook point; the same vector as x for an autoencoder.
 */
export function writeReconstruction(
  delta: Float32Array,
  at: number,
  weights: DictionaryWeights,
  codes: SparseCodes,
  row: number,
  changed: ReadonlyMap<number, number>,
  x: VectorAt,
  y: VectorAt,
): void {
  const { dIn, dOut, inputScale, outputScale } = weights.config;
  const sum = Float64Array.from(weights.decoderBias);
  const add = (feature: number, c: number): void => {
    for (let q = 0; q < dOut; q++) sum[q] += c * weights.decoder[feature * dOut + q];
  };
  for (let e = codes.offsets[row]; e < codes.offsets[row + 1]; e++) {
    if (!changed.has(codes.features[e])) add(codes.features[e], codes.values[e]);
  }
  for (const [feature, c] of changed) if (c !== 0) add(feature, c);
  if (weights.skip !== null) {
    for (let o = 0; o < dOut; o++) {
      let path = 0;
      for (let q = 0; q < dIn; q++) path += x.data[x.at + q] * weights.skip[o * dIn + q];
      sum[o] += path / inputScale;
    }
  }
  for (let q = 0; q < dOut; q++) delta[at + q] = sum[q] * outputScale - y.data[y.at + q];
}
