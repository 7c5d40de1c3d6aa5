import { invariant } from '../domain/errors.ts';
import type { TrainerSpec } from '../domain/training.ts';
import type { TrainerStart } from '../ports/TrainingEngine.ts';
import type { StepTrainer } from './stepTrainer.ts';
import type { TrainerAnswers, TrainerCall } from './trainerCalls.ts';

/** The worker's side of trainerCalls.ts: holds some of the engine's trainers, which `open` makes, and does what is asked of them. */
export function answerCalls(open: (spec: TrainerSpec, start: TrainerStart) => StepTrainer | Promise<StepTrainer>): (call: TrainerCall) => Promise<TrainerAnswers[TrainerCall['kind']]> {
  const trainers = new Map<number, StepTrainer>();
  return async (call) => {
    if (call.kind === 'create') {
      trainers.set(call.trainer, await open(call.spec, call.start));
      return null;
    }
    const trainer = trainers.get(call.trainer);
    invariant(trainer !== undefined, `no trainer ${call.trainer}`);
    switch (call.kind) {
      case 'steps':
        return await trainer.steps(call.vectors, call.targets).finally(() => free(call.vectors, call.targets));
      case 'evaluate':
        return await trainer.evaluate(call.vectors, call.targets).finally(() => free(call.vectors, call.targets));
      case 'state':
        return await trainer.state();
      case 'close':
        trainers.delete(call.trainer);
        await trainer.close();
        return null;
    }
  };
}

/** Gives handed-over memory back now: tens of megabytes a block, of which the collector would let several pile up. */
function free(...lists: (Float32Array | undefined)[]): void {
  for (const list of lists) if (list?.buffer instanceof ArrayBuffer) list.buffer.transfer(0);
}
