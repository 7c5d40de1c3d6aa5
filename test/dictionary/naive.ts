import type { TrainingState } from '../../src/dictionary/architecture.ts';
import { groupSizes } from '../../src/dictionary/matryoshka.ts';
import type { TrainerSpec } from '../../src/domain/training.ts';

/** Parameters in double precision, by state name. */
export type Doubles = Record<string, Float64Array>;

export function doublesOf(state: TrainingState): Doubles {
  return Object.fromEntries([...state].filter(([name]) => state.has(`${name}.m`)).map(([name, { data }]) => [name, Float64Array.from(data)]));
}

/** What a loss treats as constant: taken from `at` while the parameters vary. */
export interface Frozen {
  readonly parameters: Doubles;
  readonly sinceFired: Float64Array;
}

/**
 * Loss of one batch by the formulas of the architectures' files, in plain loops and double precision, with the constants of the
 * loss (frozen decoders, the auxiliary loss's residual) taken from `frozen`: its central differences are the gradients a
 * backward pass must give wherever no straight-through estimator is used.
 */
export function naiveLoss(spec: TrainerSpec, p: Doubles, x: Float32Array, y: Float32Array, frozen: Frozen): number {
  const { batchSize: B, dOut, hyper } = spec;
  const error = (codes: Float64Array, w: Doubles, upTo = spec.nFeatures): Float64Array => residual(spec, codes, w, x, y, upTo);
  const mean = (e: Float64Array): number => e.reduce((sum, value) => sum + value * value, 0) / (B * dOut);
  const sum = (values: Float64Array): number => values.reduce((total, value) => total + value, 0);
  const h = preActivations(spec, p, x);
  const c = codesOf(spec, p, h);
  if (spec.architecture === 'untied') return mean(error(c, p)) + (hyper.sparsity * sum(c)) / B;
  if (spec.architecture === 'gated') {
    const gate = h.map((value) => Math.max(value, 0));
    return mean(error(c, p)) + (hyper.sparsity * sum(gate)) / B + mean(error(gate, frozen.parameters));
  }
  if (spec.architecture === 'jumprelu') {
    const l0 = c.filter((value) => value !== 0).length / B;
    return mean(error(c, p)) + hyper.sparsity * (hyper.targetL0 === 0 ? l0 : (l0 / hyper.targetL0 - 1) ** 2);
  }
  const ends = spec.architecture === 'matryoshka' ? groupSizes(spec).map((_, i, sizes) => sizes.slice(0, i + 1).reduce((a, b) => a + b)) : [spec.nFeatures];
  const main = ends.reduce((total, end) => total + mean(error(c, p, end)), 0) / ends.length;
  return main + auxiliary(spec, p, h, error(codesOf(spec, frozen.parameters, preActivations(spec, frozen.parameters, x)), frozen.parameters), c, frozen.sinceFired);
}

/** h [B, F]. */
export function preActivations({ batchSize: B, dIn: D, nFeatures: F, transcoder }: TrainerSpec, p: Doubles, x: Float32Array): Float64Array {
  const h = new Float64Array(B * F);
  for (let i = 0; i < B; i++) {
    for (let j = 0; j < F; j++) {
      let dot = p['encoderBias']![j]!;
      for (let d = 0; d < D; d++) dot += (x[i * D + d]! - (transcoder ? 0 : p['decoderBias']![d]!)) * p['encoder']![j * D + d]!;
      h[i * F + j] = dot;
    }
  }
  return h;
}

/** c [B, F] as training computes it. */
export function codesOf({ architecture, batchSize: B, nFeatures: F, hyper: { k } }: TrainerSpec, p: Doubles, h: Float64Array): Float64Array {
  const positive = h.map((value) => Math.max(value, 0));
  if (architecture === 'untied') return positive;
  if (architecture === 'jumprelu') return h.map((value, i) => (value > p['threshold']![i % F]! ? value : 0));
  if (architecture === 'gated') {
    return h.map((value, i) => (value > 0 ? Math.max(Math.exp(p['rescale']![i % F]!) * (value - p['encoderBias']![i % F]!) + p['magnitudeBias']![i % F]!, 0) : 0));
  }
  if (architecture === 'topk') {
    for (let i = 0; i < B; i++) keepLargest(positive.subarray(i * F, (i + 1) * F), k);
    return positive;
  }
  return keepLargest(positive, k * B);
}

/** Zeroes all but the k largest, in place. */
function keepLargest(values: Float64Array, k: number): Float64Array {
  const order = [...values.keys()].sort((a, b) => values[b]! - values[a]! || a - b);
  for (const index of order.slice(k)) values[index] = 0;
  return values;
}

/** x̂ − y [B, dOut] with the first `upTo` features. */
function residual({ batchSize: B, dIn: D, dOut, nFeatures: F, skip }: TrainerSpec, c: Float64Array, w: Doubles, x: Float32Array, y: Float32Array, upTo: number): Float64Array {
  const e = new Float64Array(B * dOut);
  for (let i = 0; i < B; i++) {
    for (let o = 0; o < dOut; o++) {
      let value = w['decoderBias']![o]! - y[i * dOut + o]!;
      for (let j = 0; j < upTo; j++) value += c[i * F + j]! * w['decoder']![j * dOut + o]!;
      if (skip) for (let d = 0; d < D; d++) value += x[i * D + d]! * w['skip']![o * D + d]!;
      e[i * dOut + o] = value;
    }
  }
  return e;
}

/** L_aux with the residual `e` held constant. */
function auxiliary({ batchSize: B, dOut, nFeatures: F, hyper: { auxK, auxCoefficient, deadVectors } }: TrainerSpec, p: Doubles, h: Float64Array, e: Float64Array, c: Float64Array, sinceFired: Float64Array): number {
  const dead = Array.from({ length: F }, (_, j) => j).filter((j) => sinceFired[j]! + B >= deadVectors && !Array.from({ length: B }, (_, i) => c[i * F + j]!).some((value) => value > 0));
  if (dead.length === 0 || auxCoefficient === 0) return 0;
  let [above, below] = [0, 0];
  for (let o = 0; o < dOut; o++) {
    let average = 0;
    for (let i = 0; i < B; i++) average += e[i * dOut + o]! / B;
    for (let i = 0; i < B; i++) below += (e[i * dOut + o]! - average) ** 2;
  }
  for (let i = 0; i < B; i++) {
    const a = keepLargest(Float64Array.from(dead, (j) => Math.max(h[i * F + j]!, 0)), auxK);
    for (let o = 0; o < dOut; o++) {
      let value = e[i * dOut + o]!;
      dead.forEach((j, at) => (value += a[at]! * p['decoder']![j * dOut + o]!));
      above += value * value;
    }
  }
  return (auxCoefficient * above) / below;
}

/** dL/dθ [F] of jumprelu.ts by its defining formula. */
export function naiveThresholdGradient(spec: TrainerSpec, p: Doubles, x: Float32Array, y: Float32Array): Float64Array {
  const { batchSize: B, dOut, nFeatures: F, hyper: { bandwidth, sparsity, targetL0 } } = spec;
  const h = preActivations(spec, p, x);
  const c = codesOf(spec, p, h);
  const e = residual(spec, c, p, x, y, F);
  const l0 = c.filter((value) => value !== 0).length / B;
  const slope = (targetL0 === 0 ? sparsity : (2 * sparsity * (l0 / targetL0 - 1)) / targetL0) / B;
  const gradient = new Float64Array(F);
  for (let i = 0; i < B; i++) {
    for (let j = 0; j < F; j++) {
      const theta = p['threshold']![j]!;
      if (Math.abs((h[i * F + j]! - theta) / bandwidth) >= 0.5) continue;
      let dc = 0;
      for (let o = 0; o < dOut; o++) dc += (2 / (B * dOut)) * e[i * dOut + o]! * p['decoder']![j * dOut + o]!;
      gradient[j]! += -(theta / bandwidth) * dc - slope / bandwidth;
    }
  }
  return gradient;
}
