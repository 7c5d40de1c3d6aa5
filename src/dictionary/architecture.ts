import type { DictionaryArchitecture, DictionaryWeights } from '../domain/dictionary.ts';

/** Hyper-parameters a training step depends on. */
export interface TrainingSettings {
  /** D. */
  readonly dIn: number;
  /** F. */
  readonly nFeatures: number;
  /** B, vectors per step. */
  readonly batchSize: number;
  /** L1 coefficient; meaning as the architecture's file says. */
  readonly l1: number;
  readonly learningRate: number;
}

export interface Tensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Everything training changes: parameters, optimiser moments, and `step` [1] = steps taken. */
export type TrainingState = ReadonlyMap<string, Tensor>;

/** The numbers of a dictionary, without what they belong to. */
export type DictionaryParameters = Omit<DictionaryWeights, 'config'>;

/** The ONNX graph of one training step. */
export interface StepGraph {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /**
   * State tensors the step reads under their own name and writes under `next.<name>`. `step` is not among them: its
   * effect comes through `scalars`.
   */
  readonly stateNames: readonly string[];
}

/**
 * A dictionary architecture that can be trained: one file each, listed in registry.ts.
 *
 * The step graph's inputs: `x` [B, D], the state tensors, and `scalars` [1] each. Its outputs: the next state tensors and
 * the statistics `loss`, `mse`, `l0` [1] of the batch before the update.
 */
export interface TrainableArchitecture {
  readonly name: DictionaryArchitecture;
  initialState(settings: TrainingSettings, seed: number): TrainingState;
  stepGraph(settings: TrainingSettings): StepGraph;
  /** Values of the graph's scalar inputs for step number `step` (from 1). */
  scalars(settings: TrainingSettings, step: number): Readonly<Record<string, number>>;
  /** What the trained state means to everything downstream; D and F are the state's own. */
  parameters(state: TrainingState): DictionaryParameters;
}
