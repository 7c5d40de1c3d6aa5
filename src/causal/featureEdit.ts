import type { DictionaryWeights } from '../domain/dictionary.ts';
import { invariant, unreachable } from '../domain/errors.ts';
import type { PatchOperation } from '../domain/patch.ts';

/**
 * Pre-activation of feature j for the vector at x[at .. at+D): (x/s)·e_j + b_j with s = inputScale; the activation is its
 * positive part. Summed in float64.
 */
export function preActivation(weights: DictionaryWeights, j: number, x: Float32Array, at: number): number {
  const d = weights.config.dIn;
  const row = j * d;
  let sum = 0;
  for (let q = 0; q < d; q++) sum += x[at + q]! * weights.encoder[row + q]!;
  return sum / weights.config.inputScale + weights.encoderBias[j]!;
}

/** Activations c_j of feature j over `count` vectors of x [count, D] from vector `first` on, in the dictionary's units. */
export function readFeature(weights: DictionaryWeights, j: number, x: Float32Array, first: number, count: number): Float64Array {
  const d = weights.config.dIn;
  invariant(x.length >= (first + count) * d, 'readFeature: too few vectors');
  return Float64Array.from({ length: count }, (_, t) => Math.max(0, preActivation(weights, j, x, (first + t) * d)));
}

/** ĉ for one position, given c there and the target prompt's c at the same position (read only by replace_from_target). */
export function patchedActivation(operation: PatchOperation, c: number, target: number | undefined): number {
  switch (operation.kind) {
    case 'replace_from_target':
      invariant(target !== undefined, 'replace_from_target without a target activation');
      return target;
    case 'ablate':
      return 0;
    case 'scale':
      return operation.factor * c;
    case 'set':
      return operation.value;
    default:
      return unreachable(operation);
  }
}

/**
 * Adds one feature's share of the edit to `delta` at vector `at`: s·(ĉ − c)·f_j. The factor s = inputScale takes the
 * dictionary's units back to the model's, because x̂ = s·(c·decoder + bias). Whatever the dictionary does not explain of
 * x (the error term) stays.
 */
export function addFeatureEdit(delta: Float32Array, at: number, weights: DictionaryWeights, j: number, change: number): void {
  if (change === 0) return;
  const d = weights.config.dIn;
  const row = j * d;
  const factor = change * weights.config.inputScale;
  for (let q = 0; q < d; q++) delta[at + q]! += factor * weights.decoder[row + q]!;
}

/** ‖v‖₂ of each of the D-vectors of `delta`. */
export function vectorNorms(delta: Float32Array, d: number): Float64Array {
  return Float64Array.from({ length: delta.length / d }, (_, t) => {
    let sum = 0;
    for (let q = t * d; q < (t + 1) * d; q++) sum += delta[q]! ** 2;
    return Math.sqrt(sum);
  });
}
