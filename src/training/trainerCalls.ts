import { invariant } from '../domain/errors.ts';
import type { TrainerSpec } from '../domain/training.ts';
import type { EvaluationSums, StepStats, Trainer, TrainerStart, TrainerState } from '../ports/TrainingEngine.ts';

/** What an engine asks of a trainer's worker thread. `trainer` is the engine's number for the trainer. */
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

/** A thread that answers the calls of its trainers in the order they are made. */
export interface TrainerThread {
  call<K extends TrainerCall['kind']>(call: Extract<TrainerCall, { kind: K }>, transfer?: ArrayBuffer[]): Promise<TrainerAnswers[K]>;
}

/** Creates trainer number `trainer` on the thread, and gives it as the port wants it. */
export async function createOn(thread: TrainerThread, trainer: number, spec: TrainerSpec, start: TrainerStart): Promise<Trainer> {
  await thread.call({ kind: 'create', trainer, spec, start });
  return {
    spec,
    steps: (vectors, targets) => thread.call({ kind: 'steps', trainer, vectors, targets }, owned(vectors, targets)),
    evaluate: (vectors, targets) => thread.call({ kind: 'evaluate', trainer, vectors, targets }, owned(vectors, targets)),
    state: () => thread.call({ kind: 'state', trainer }),
    close: async () => void (await thread.call({ kind: 'close', trainer })),
  };
}

/** Buffers to hand over, which only works for whole ones; shared memory is seen by the worker as it is. */
function owned(...lists: (Float32Array | undefined)[]): ArrayBuffer[] {
  return lists.flatMap((list) => {
    if (list === undefined || list.buffer instanceof SharedArrayBuffer) return [];
    invariant(list.byteLength === list.buffer.byteLength, 'vectors fill their buffer');
    return [list.buffer];
  });
}
