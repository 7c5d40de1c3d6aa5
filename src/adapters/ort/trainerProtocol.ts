import type { TrainerAnswers, TrainerCall } from '../../training/trainerCalls.ts';

/** A call on its way to the engine's worker thread, which answers with the same id. */
export interface TrainerRequest {
  readonly id: number;
  readonly call: TrainerCall;
}

export type TrainerReply =
  | { readonly id: number; readonly answer: TrainerAnswers[TrainerCall['kind']] }
  | { readonly id: number; readonly error: string; /** Ours (an invariant broken) rather than onnxruntime's. */ readonly bug: boolean };
