import type { TrainerSpec } from '../domain/training.ts';

/** Of the batch of one step, before the update. */
export interface StepStats {
  readonly loss: number;
  /** Mean squared error per element. */
  readonly mse: number;
  /** Mean number of active features per vector. */
  readonly l0: number;
  /** Share of features without an activation for `deadVectors` vectors, this batch included. */
  readonly dead: number;
}

/**
 * Named float tensors of the trainer: parameters, optimiser moments (`<name>.m`, `<name>.v`), `sinceFired` [F], `step` [1].
 * Restoring them continues to the bit on CPU. The names are the architecture's, the same in every engine.
 */
export type TrainerState = ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>;

/** Sums over vectors, from which src/dictionary/quality.ts computes a dictionary's quality. */
export interface EvaluationSums {
  readonly vectors: number;
  /** Σ‖x − x̂‖² (of the targets, for a transcoder), in the space trained in. */
  readonly squaredError: number;
  /** Vectors on which each feature is active [F]. */
  readonly firings: Float64Array;
}

/** Where a trainer starts. */
export type TrainerStart =
  /** Afresh from the spec's seed; `centre` [dOut] is the start of the output bias where the architecture has one. */
  | { readonly kind: 'fresh'; readonly centre: Float32Array }
  | { readonly kind: 'resume'; readonly state: TrainerState };

export interface Trainer {
  readonly spec: TrainerSpec;
  /**
   * Takes the steps of `vectors` [n·batchSize, dIn] in order; transcoders are given `targets` [n·batchSize, dOut]. A buffer of
   * shared memory is only read, and must not change until the answer is there: so several trainers can train on one. Any
   * other buffer is handed over (transferred to a worker) and must not be used afterwards.
   */
  steps(vectors: Float32Array, targets?: Float32Array): Promise<StepStats[]>;
  state(): Promise<TrainerState>;
  /** Reads `vectors` [n, dIn] with the dictionary as it is now, changing nothing. Buffers as in `steps`. */
  evaluate(vectors: Float32Array, targets?: Float32Array): Promise<EvaluationSums>;
  close(): Promise<void>;
}

/** Trains dictionaries on some device. Several trainers may run at once; `concurrency` says how many do in parallel. */
export interface TrainingEngine {
  /** Library and device, as runs record it: `onnxruntime cpu`. */
  readonly name: string;
  readonly concurrency: number;
  create(spec: TrainerSpec, start: TrainerStart): Promise<Trainer>;
  close(): Promise<void>;
}
