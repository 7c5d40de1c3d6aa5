import { CallerError, InvariantError, messageOf } from '../../domain/errors.ts';
import { openBackend } from './backend.ts';
import { answerCalls } from '../../training/answerCalls.ts';
import type { TfjsCall, TfjsReply } from './protocol.ts';
import { TfjsTrainer } from './tfjsTrainer.ts';

/** Thread that holds some of the engine's trainers and does their calls one after another. */

const answerTrainers = answerCalls((spec, start) => new TfjsTrainer(spec, start));

/** The pool's task. Never rejects: a rejection means the thread died. */
export default async function reply(call: TfjsCall): Promise<TfjsReply> {
  try {
    return { answer: call.kind === 'open' ? await openBackend(call.backend) : await answerTrainers(call) };
  } catch (error) {
    const kind = error instanceof InvariantError ? 'bug' : error instanceof CallerError && error.code === 'DEVICE_UNAVAILABLE' ? 'unavailable' : 'outside';
    return { error: messageOf(error), kind };
  }
}
