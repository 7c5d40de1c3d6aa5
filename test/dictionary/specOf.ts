import { checkSpec, resolveHyperparameters } from '../../src/dictionary/hyperparameters.ts';
import { trainableArchitecture } from '../../src/dictionary/registry.ts';
import type { TrainableArchitecture } from '../../src/domain/dictionary.ts';
import type { Hyperparameters, TrainerSpec } from '../../src/domain/training.ts';

export interface Sizes {
  readonly B: number;
  readonly D: number;
  readonly F: number;
  /** Width predicted; given = a transcoder. */
  readonly dOut?: number;
  readonly skip?: boolean;
  readonly totalSteps?: number;
  readonly seed?: number;
}

/** A checked spec: the architecture's defaults with `hyper` in their place. */
export function specOf(architecture: TrainableArchitecture, { B, D, F, dOut, skip = false, totalSteps = 1000, seed = 1 }: Sizes, hyper: Partial<Hyperparameters> = {}): TrainerSpec {
  const sizes = { dIn: D, dOut: dOut ?? D, nFeatures: F, batchSize: B, totalSteps };
  const found = trainableArchitecture(architecture);
  const spec = { ...sizes, architecture, transcoder: dOut !== undefined, skip, seed, hyper: resolveHyperparameters(found, sizes, hyper) };
  checkSpec(found, spec);
  return spec;
}
