import { CallerError, invariant, InvariantError, messageOf } from '../../domain/errors.ts';
import { openBackend } from './backend.ts';
import type { TfjsAnswers, TfjsCall, TfjsReply } from './protocol.ts';
import { TfjsTrainer } from './tfjsTrainer.ts';

/** Thread that holds some of the engine's trainers and does their calls one after another. */

const trainers = new Map<number, TfjsTrainer>();

async function answer(call: TfjsCall): Promise<TfjsAnswers[TfjsCall['kind']]> {
  if (call.kind === 'open') return openBackend(call.backend);
  if (call.kind === 'create') {
    trainers.set(call.trainer, new TfjsTrainer(call.spec, call.start));
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
      trainer.close();
      return null;
  }
}

/** Gives handed-over memory back now, of which the collector would let several blocks pile up. */
function free(...lists: (Float32Array | undefined)[]): void {
  for (const list of lists) if (list?.buffer instanceof ArrayBuffer) list.buffer.transfer(0);
}

/** The pool's task. Never rejects: a rejection means the thread died. */
export default async function reply(call: TfjsCall): Promise<TfjsReply> {
  try {
    return { answer: await answer(call) };
  } catch (error) {
    const kind = error instanceof InvariantError ? 'bug' : error instanceof CallerError && error.code === 'DEVICE_UNAVAILABLE' ? 'unavailable' : 'outside';
    return { error: messageOf(error), kind };
  }
}
