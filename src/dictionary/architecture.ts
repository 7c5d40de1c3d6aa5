import type { DictionaryWeights, TrainableArchitecture as ArchitectureName } from '../domain/dictionary.ts';
import type { Hyperparameters, TrainerSpec, TrainingSizes } from '../domain/training.ts';

export interface Tensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Everything training changes: parameters, optimiser moments, `sinceFired` [F], and `step` [1] = steps taken. */
export type TrainingState = ReadonlyMap<string, Tensor>;

/** The numbers of a dictionary, without what they belong to. */
export type DictionaryParameters = Omit<DictionaryWeights, 'config'> & { readonly k: number | null };

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
 * A dictionary architecture that can be trained: one file each, listed in registry.ts. Build the graph with StepBuilder.
 *
 * The step graph's inputs: `x` [B, D], `y` [B, dOut] for a transcoder, the state tensors, and `scalars` [1] each. Its
 * outputs: the next state tensors and the statistics `loss`, `mse`, `l0`, `dead` [1] of the batch before the update.
 */
export interface TrainableArchitecture {
  readonly name: ArchitectureName;
  /** Whether it can predict other vectors than it reads. */
  readonly transcoder: boolean;
  /** The hyper-parameters it reads, with its source's values for these sizes. Setting any other is refused. */
  defaults(sizes: TrainingSizes): Partial<Hyperparameters>;
  /** Throws BAD_INPUT for values that make no sense together (k beyond F, say). Optional: ranges are checked for all. */
  check?(spec: TrainerSpec): void;
  /** @param centre [dOut] start of the output bias, where there is one. */
  initialState(spec: TrainerSpec, centre: Float32Array): TrainingState;
  stepGraph(spec: TrainerSpec): StepGraph;
  /** Values of the graph's scalar inputs for step number `step` (from 1); schedule.ts has the common ones. */
  scalars(spec: TrainerSpec, step: number): Readonly<Record<string, number>>;
  /** What the trained state means to everything downstream; D and F are the state's own. */
  parameters(state: TrainingState, spec: TrainerSpec): DictionaryParameters;
}
