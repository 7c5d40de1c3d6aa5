import type { TrainerSpec } from '../../domain/training.ts';
import type { EvaluationSums, StepStats, TrainerStart, TrainerState } from '../../ports/TrainingEngine.ts';

/** What the engine asks of a trainer's worker thread. `trainer` is the engine's number for the trainer. */
export type TrainerCall =
  | { readonly kind: 'create'; readonly trainer: number; readonly spec: TrainerSpec; readonly start: TrainerStart }
  | { readonly kind: 'steps'; readonly trainer: number; readonly vectors: Float32Array; readonly targets: Float32Array | undefined }
  | { readonly kind: 'evaluate'; readonly trainer: number; readonly vectors: Float32Array; readonly targets: Float32Array | undefined }
  | { readonly kind: 'state'; readonly trainer: number }
  | { readonly kind: 'close'; readonly trainer: number };

/** The answer to each kind of call. */
export interface TrainerAnswers {
  readonly create: null;
  readonly steps: StepStats[];
  readonly evaluate: EvaluationSums;
  readonly state: TrainerState;
  readonly close: null;
}

export interface TrainerRequest {
  readonly id: number;
  readonly call: TrainerCall;
}

export type TrainerReply =
  | { readonly id: number; readonly answer: TrainerAnswers[TrainerCall['kind']] }
  | { readonly id: number; readonly error: string; /** Ours (an invariant broken) rather than onnxruntime's. */ readonly bug: boolean };
