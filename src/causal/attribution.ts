import type { DictionaryWeights } from '../domain/dictionary.ts';
import { invariant } from '../domain/errors.ts';
import type { SparseCodes } from '../domain/sparseCodes.ts';

/** Effects by feature, one number per prompt of a batch; features ascend. */
export type EffectsByFeature = ReadonlyMap<number, Float64Array>;

/**
 * Adds, for one prompt of codes and gradient [B, T, dOut] (rows b·T + t), factor · Σ_t c_j(t) · s·(f_j · g(t)) to each active
 * feature's number at place `prompt`: the first-order effect of adding factor·c_j to every activation. s = outputScale, f_j the
 * decoder's row, g the gradient at the dictionary's output hook point. Summed in float64.
 *
 * @param rows the prompt's real rows of the batch.
 */
export function addEffects(
  effects: Map<number, Float64Array>,
  weights: DictionaryWeights,
  codes: SparseCodes,
  gradient: Float32Array,
  rows: { readonly first: number; readonly count: number },
  factor: number,
  prompt: number,
  prompts: number,
): void {
  const { dOut, outputScale } = weights.config;
  invariant(gradient.length >= (rows.first + rows.count) * dOut, 'a gradient at every row of the codes');
  for (let r = rows.first; r < rows.first + rows.count; r++) {
    const at = r * dOut;
    for (let e = codes.offsets[r]; e < codes.offsets[r + 1]; e++) {
      const feature = codes.features[e];
      const row = feature * dOut;
      let slope = 0;
      for (let q = 0; q < dOut; q++) slope += weights.decoder[row + q] * gradient[at + q];
      let found = effects.get(feature);
      if (found === undefined) effects.set(feature, (found = new Float64Array(prompts)));
      found[prompt] += factor * codes.values[e] * outputScale * slope;
    }
  }
}

/** With features in ascending order. */
export function ascending(effects: ReadonlyMap<number, Float64Array>): EffectsByFeature {
  return new Map([...effects].sort(([a], [b]) => a - b));
}
