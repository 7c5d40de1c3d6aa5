import { parentPort, workerData } from 'node:worker_threads';
import { invariant, InvariantError, messageOf } from '../../domain/errors.ts';
import type { Device } from './device.ts';
import { OrtTrainer } from './ortTrainer.ts';
import { sparseSupports, SparseTrainer } from './sparse/trainer.ts';
import type { StepTrainer } from './stepTrainer.ts';
import type { TrainerAnswers, TrainerCall, TrainerReply, TrainerRequest } from './trainerProtocol.ts';

/** Thread that holds some of the engine's trainers and does their calls one after another. */

const { threads, device } = workerData as { threads: number; device: Device };
const trainers = new Map<number, StepTrainer>();
invariant(parentPort !== null, 'trainerWorker.ts runs as a worker thread');
const port = parentPort;

async function answer(call: TrainerCall): Promise<TrainerAnswers[TrainerCall['kind']]> {
  if (call.kind === 'create') {
    const { spec, start } = call;
    trainers.set(call.trainer, device === 'cpu' && sparseSupports(spec) ? await SparseTrainer.open(spec, threads, start) : await OrtTrainer.open(spec, threads, start, device));
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
      return trainer.state();
    case 'close':
      trainers.delete(call.trainer);
      await trainer.close();
      return null;
  }
}

/** Gives the memory back now: tens of megabytes a block, of which the collector would let several pile up. */
function free(...lists: (Float32Array | undefined)[]): void {
  for (const list of lists) if (list?.buffer instanceof ArrayBuffer) list.buffer.transfer(0);
}

async function reply({ id, call }: TrainerRequest): Promise<void> {
  let message: TrainerReply;
  try {
    message = { id, answer: await answer(call) };
  } catch (error) {
    message = { id, error: messageOf(error), bug: error instanceof InvariantError };
  }
  port.postMessage(message);
}

let last: Promise<void> = Promise.resolve();
port.on('message', (request: TrainerRequest) => {
  last = last.then(() => reply(request));
});
