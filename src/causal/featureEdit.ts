import type { DictionaryWeights } from '../domain/dictionary.ts';
import { invariant, unreachable } from '../domain/errors.ts';
import type { FeatureOperation } from './featureOperation.ts';

/**
 * Pre-activation h_j of feature j for the vector at x[at .. at+D): (x/s)·e_j + b_j with s = inputScale. Summed in float64.
 */
export function preActivation(weights: DictionaryWeights, j: number, x: Float32Array, at: number): number {
  const d = weights.config.dIn;
  const row = j * d;
  let sum = 0;
  for (let q = 0; q < d; q++) sum += x[at + q]! * weights.encoder[row + q]!;
  return sum / weights.config.inputScale + weights.encoderBias[j]!;
}

/**
 * Activation c_j of feature j for the vector at x[at .. at+D), as DictionaryWeights defines it: h_j above the threshold, and
 * among the k largest where the dictionary keeps only those. With k an active feature costs all F pre-activations, without
 * it one: for many features or vectors of a dictionary with k, read codes by SubjectModel.forward's `encode`.
 */
export function activationOf(weights: DictionaryWeights, j: number, x: Float32Array, at: number): number {
  const h = preActivation(weights, j, x, at);
  if (!(h > (weights.threshold?.[j] ?? 0))) return 0;
  return weights.config.k === null || isAmongLargest(weights, j, h, x, at, weights.config.k) ? h : 0;
}

/** Whether fewer than k features are above their thresholds and greater than h_j, or equal to it with a lower index. Compared as float32, like stored codes. */
function isAmongLargest(weights: DictionaryWeights, j: number, h: number, x: Float32Array, at: number, k: number): boolean {
  const own = Math.fround(h);
  let greater = 0;
  for (let i = 0; i < weights.config.nFeatures; i++) {
    if (i === j) continue;
    const exact = preActivation(weights, i, x, at);
    if (!(exact > (weights.threshold?.[i] ?? 0))) continue;
    const other = Math.fround(exact);
    if ((other > own || (other === own && i < j)) && ++greater >= k) return false;
  }
  return true;
}

/** Activations c_j of feature j (activationOf) over `count` vectors of x [count, D] from vector `first` on, in the dictionary's units. */
export function readFeature(weights: DictionaryWeights, j: number, x: Float32Array, first: number, count: number): Float64Array {
  const d = weights.config.dIn;
  invariant(x.length >= (first + count) * d, 'readFeature: too few vectors');
  return Float64Array.from({ length: count }, (_, t) => activationOf(weights, j, x, (first + t) * d));
}

/** ĉ for one position, given c there and the target prompt's c at the same position (read only by replace_from_target). */
export function patchedActivation(operation: FeatureOperation, c: number, target: number | undefined): number {
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
    case 'ablate_to_mean':
      return operation.mean;
    case 'add':
      return c + operation.value;
    default:
      return unreachable(operation);
  }
}

/**
 * Adds one feature's share of the edit to `delta` [.., dOut] at offset `at`: s·(ĉ − c)·f_j, which belongs at the dictionary's
 * output hook point. The factor s = outputScale takes the dictionary's units back to the model's, because
 * x̂ = s·(c·decoder + bias + …). Whatever the dictionary does not explain (the error term; a transcoder's linear path) stays,
 * and so do the activations of all other features: where only the k largest count, none moves up into a place made free.
 */
export function addFeatureEdit(delta: Float32Array, at: number, weights: DictionaryWeights, j: number, change: number): void {
  if (change === 0) return;
  const d = weights.config.dOut;
  const row = j * d;
  const factor = change * weights.config.outputScale;
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
