import type { DictionaryParameters } from '../dictionary/architecture.ts';
import { normaliseRows } from '../math/normaliseRows.ts';
import { Rng } from '../math/rng.ts';
import { plainDirections, signedPairs } from './directions.ts';

/**
 * F random directions, uniform on the sphere: rows of N(0, 1), divided by their norm (the paper's RandomDict leaves them
 * undivided, which only scales codes), c = relu(x·rowᵀ), x̂ = c·rows, nothing fitted. So its FVU says nothing about
 * activations: random directions are for comparing what features mean, not how well they reconstruct. The top-k variant
 * takes both signs of every direction.
 */
export function randomParameters(D: number, F: number, seed: number, k: number | null): DictionaryParameters {
  const rng = Rng.derive(seed, 'random directions');
  const rows = normaliseRows(Float32Array.from({ length: F * D }, () => rng.normal()), D, 1e-8);
  if (k === null) return plainDirections(rows, D);
  const wide = Float64Array.from(rows);
  return signedPairs({ reading: wide, writing: wide, centre: new Float64Array(D) }, k);
}
