import { parentPort, workerData } from 'node:worker_threads';
import { invariant, InvariantError, messageOf } from '../../domain/errors.ts';
import type { Device } from './device.ts';
import type { TrainerState } from '../../ports/TrainingEngine.ts';
import { OrtTrainer } from './ortTrainer.ts';
import { sparseSupports, SparseTrainer } from './sparse/trainer.ts';
import { answerCalls } from '../../training/answerCalls.ts';
import type { TrainerReply, TrainerRequest } from './trainerProtocol.ts';

/** Thread that holds some of the engine's trainers and does their calls one after another. */

const { threads, device } = workerData as { threads: number; device: Device };
invariant(parentPort !== null, 'trainerWorker.ts runs as a worker thread');
const port = parentPort;

const answer = answerCalls((spec, start) => (device === 'cpu' && sparseSupports(spec) ? SparseTrainer.open(spec, threads, start) : OrtTrainer.open(spec, threads, start, device)));

async function reply({ id, call }: TrainerRequest): Promise<void> {
  let message: TrainerReply;
  let owned: ArrayBuffer[] = [];
  try {
    const answered = await answer(call);
    // A state is a copy already, as large as the trainer's own: handed over, not cloned.
    if (answered instanceof Map) owned = [...(answered as TrainerState).values()].map(({ data }) => data.buffer as ArrayBuffer);
    message = { id, answer: answered };
  } catch (error) {
    message = { id, error: messageOf(error), bug: error instanceof InvariantError };
  }
  port.postMessage(message, owned);
}

let last: Promise<void> = Promise.resolve();
port.on('message', (request: TrainerRequest) => {
  last = last.then(() => reply(request));
});
