import type { TrainerSpec } from '../../domain/training.ts';
import type { EvaluationSums, StepStats, TrainerStart, TrainerState } from '../../ports/TrainingEngine.ts';
import type { OpenedBackend, TfjsBackend } from './backend.ts';

/** What the engine asks of a worker thread. `trainer` is the engine's number for the trainer. */
export type TfjsCall =
  | { readonly kind: 'open'; readonly backend: TfjsBackend | undefined }
  | { readonly kind: 'create'; readonly trainer: number; readonly spec: TrainerSpec; readonly start: TrainerStart }
  | { readonly kind: 'steps'; readonly trainer: number; readonly vectors: Float32Array; readonly targets: Float32Array | undefined }
  | { readonly kind: 'evaluate'; readonly trainer: number; readonly vectors: Float32Array; readonly targets: Float32Array | undefined }
  | { readonly kind: 'state'; readonly trainer: number }
  | { readonly kind: 'close'; readonly trainer: number };

/** The answer to each kind of call. */
export interface TfjsAnswers {
  readonly open: OpenedBackend;
  readonly create: null;
  readonly steps: StepStats[];
  readonly evaluate: EvaluationSums;
  readonly state: TrainerState;
  readonly close: null;
}

/** Errors lose their class between threads: `kind` says whose mistake it was. */
export type TfjsReply<K extends TfjsCall['kind'] = TfjsCall['kind']> =
  | { readonly answer: TfjsAnswers[K] }
  | { readonly error: string; readonly kind: 'bug' | 'unavailable' | 'outside' };
