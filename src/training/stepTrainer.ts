import { invariant } from '../domain/errors.ts';
import type { TrainerSpec } from '../domain/training.ts';
import type { EvaluationSums, StepStats, TrainerState } from '../ports/TrainingEngine.ts';

/** What a worker thread wants of a dictionary in training, however it is computed; see Trainer for the methods. */
export interface StepTrainer {
  steps(vectors: Float32Array, targets?: Float32Array): Promise<StepStats[]>;
  evaluate(vectors: Float32Array, targets?: Float32Array): Promise<EvaluationSums>;
  /** A copy of the state. */
  state(): TrainerState | Promise<TrainerState>;
  close(): void | Promise<void>;
}

/** Throws a bug unless the vectors are for this trainer; whole batches when they are to be trained on. */
export function checkVectors({ batchSize: B, dIn: D, dOut, transcoder }: TrainerSpec, vectors: Float32Array, targets: Float32Array | undefined, batches: boolean): void {
  if (batches) invariant(vectors.length % (B * D) === 0, `${vectors.length} numbers are no whole batches of ${B} vectors of ${D}`);
  invariant(transcoder === (targets !== undefined), 'targets are given to transcoders, and only to them');
  invariant(targets === undefined || targets.length / dOut === vectors.length / D, 'as many targets as vectors');
}
