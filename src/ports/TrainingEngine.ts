import type { DictionaryArchitecture } from '../domain/dictionary.ts';

/** What one trainer trains. Optimiser facts: src/dictionary/<architecture>.ts. */
export interface TrainerSpec {
  readonly architecture: DictionaryArchitecture;
  readonly dIn: number;
  readonly nFeatures: number;
  readonly batchSize: number;
  readonly l1: number;
  readonly learningRate: number;
  readonly seed: number;
}

export interface StepStats {
  readonly loss: number;
  /** Mean squared error per element. */
  readonly mse: number;
  readonly l0: number;
}

/** Named float tensors of the trainer: parameters, Adam moments, step counter. Restoring them continues to the bit on CPU. */
export type TrainerState = ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>;

/** Sums over vectors, from which src/dictionary/quality.ts computes a dictionary's quality. */
export interface EvaluationSums {
  readonly vectors: number;
  /** Σ‖x − x̂‖², in the space trained in. */
  readonly squaredError: number;
  /** Vectors on which each feature is active [F]. */
  readonly firings: Float64Array;
}

export interface Trainer {
  readonly spec: TrainerSpec;
  /**
   * Takes the steps of `vectors` [n·batchSize, D] in order. The buffer is handed over (transferred to a worker) and must
   * not be used afterwards.
   */
  steps(vectors: Float32Array): Promise<StepStats[]>;
  state(): Promise<TrainerState>;
  /** Reads `vectors` [n, D] with the dictionary as it is now, changing nothing. The buffer is handed over. */
  evaluate(vectors: Float32Array): Promise<EvaluationSums>;
  close(): Promise<void>;
}

/** Trains dictionaries on some device. Several trainers may run at once; `concurrency` says how many do in parallel. */
export interface TrainingEngine {
  readonly name: string;
  readonly concurrency: number;
  create(spec: TrainerSpec, resume?: TrainerState): Promise<Trainer>;
  close(): Promise<void>;
}
