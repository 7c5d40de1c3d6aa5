import { resolveHyperparameters } from '../../src/dictionary/hyperparameters.ts';
import { trainableArchitecture } from '../../src/dictionary/registry.ts';
import type { TrainableArchitecture } from '../../src/domain/dictionary.ts';
import type { Hyperparameters, TrainerSpec } from '../../src/domain/training.ts';
import { normaliseRows } from '../../src/math/normaliseRows.ts';
import { Rng } from '../../src/math/rng.ts';

export const D = 16;
export const F = 48;
export const B = 64;
export const STEPS = 100;

/** A spec of small sizes with the architecture's defaults but `settings`; `dOut` makes it a transcoder. */
export function specOf(architecture: TrainableArchitecture, settings: Partial<Hyperparameters> = {}, { dOut, skip = false }: { dOut?: number; skip?: boolean } = {}): TrainerSpec {
  const sizes = { dIn: D, dOut: dOut ?? D, nFeatures: F, batchSize: B, totalSteps: STEPS };
  const hyper = resolveHyperparameters(trainableArchitecture(architecture), sizes, settings);
  return { ...sizes, architecture, transcoder: dOut !== undefined, skip, hyper, seed: 7 };
}

/** Vectors [n, D] that are sums of a few of 32 directions, with noise, and a transcoder's targets [n, dOut], a rectified map of them. */
export function data({ dIn, dOut, transcoder }: TrainerSpec, n: number, seed: number): { vectors: Float32Array; targets: Float32Array | undefined } {
  const fixed = new Rng(1);
  const directions = normaliseRows(Float32Array.from({ length: 32 * dIn }, () => fixed.normal()), dIn, 1e-8);
  const map = Float32Array.from({ length: dOut * dIn }, () => fixed.normal() / Math.sqrt(dIn));
  const rng = new Rng(seed);
  const vectors = Float32Array.from({ length: n * dIn }, () => 0.1 * rng.normal() + 0.2);
  for (let i = 0; i < n; i++) {
    for (let active = 0; active < 4; active++) {
      const direction = Math.floor(rng.next() * 32);
      const size = 1 + 2 * rng.next();
      for (let d = 0; d < dIn; d++) vectors[i * dIn + d]! += size * directions[direction * dIn + d]!;
    }
  }
  if (!transcoder) return { vectors, targets: undefined };
  const targets = new Float32Array(n * dOut);
  for (let i = 0; i < n; i++) for (let o = 0; o < dOut; o++) for (let d = 0; d < dIn; d++) targets[i * dOut + o]! += Math.max(0, map[o * dIn + d]! * vectors[i * dIn + d]!);
  return { vectors, targets };
}

/** Start of the output bias in the tests [dOut]. */
export function centre({ dOut }: TrainerSpec): Float32Array {
  return Float32Array.from({ length: dOut }, (_, d) => 0.2 + 0.01 * d);
}
