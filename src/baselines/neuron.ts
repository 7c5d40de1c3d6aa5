import type { DictionaryParameters } from '../dictionary/architecture.ts';
import { plainDirections, signedPairs } from './directions.ts';

/**
 * The basis of the hook point itself, the paper's "identity" baseline (Cunningham et al. 2023, IdentityReLU): D features
 * c = relu(x), so negative values are lost, as in the paper. The top-k variant takes both signs of every dimension.
 */
export function neuronParameters(D: number, k: number | null): DictionaryParameters {
  const identity = new Float32Array(D * D);
  for (let d = 0; d < D; d++) identity[d * (D + 1)] = 1;
  if (k === null) return plainDirections(identity, D);
  const rows = Float64Array.from(identity);
  return signedPairs({ reading: rows, writing: rows, centre: new Float64Array(D) }, k);
}
