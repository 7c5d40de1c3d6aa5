import { unreachable } from '../../../domain/errors.ts';
import type { Member } from '../kernels/team.ts';
import { decodeDead, selectDead, spread } from './auxiliary.ts';
import { apply, count, fill, gradients } from './backward.ts';
import { denseBackward, denseForward } from './dense.ts';
import { decode, select } from './forward.ts';
import { Hand, SCALAR } from './hand.ts';
import { planSparse, SAMPLE } from './plan.ts';
import type { SparseSetup } from './plan.ts';

/** Phases of a step (step.ts says in which order they come). No two tasks of a phase write the same place. */
export const PHASES = [
  'sample', 'select', 'decode', 'count', 'fill', 'auxSelect', 'spread', 'auxDecode', 'auxCount', 'auxFill', 'gradients', 'apply', 'denseForward', 'denseBackward',
] as const;
export type Phase = (typeof PHASES)[number];

/** Makes a thread's hands; see MemberModule. */
export function openMember(memory: WebAssembly.Memory, setup: SparseSetup, thread: number): Promise<Member> {
  const hand = new Hand(memory, planSparse(setup), thread);
  return Promise.resolve({ task: (phase, task) => doTask(hand, PHASES[phase], task), close: () => hand.products.close() });
}

/** Tasks are blocks of rows (select), pieces of rows (decode), shares of the features (count, fill) or groups of them. */
function doTask(hand: Hand, phase: Phase, task: number): Promise<void> | void {
  const { main, auxiliary, rowBlock, alpha } = hand.plan;
  switch (phase) {
    case 'sample':
      return select(hand, task * SAMPLE, SAMPLE);
    case 'select':
      return select(hand, task * rowBlock, rowBlock);
    case 'decode':
      return decode(hand, task);
    case 'count':
      return count(hand, main, task);
    case 'fill':
      return fill(hand, main, task, alpha);
    case 'auxSelect':
      return selectDead(hand, task);
    case 'spread':
      return spread(hand, task);
    case 'auxDecode':
      return decodeDead(hand, task);
    case 'auxCount':
      return count(hand, auxiliary!, task);
    case 'auxFill':
      return fill(hand, auxiliary!, task, hand.scalars[SCALAR.auxFactor]);
    case 'gradients':
      return gradients(hand, task);
    case 'apply':
      return apply(hand, task);
    case 'denseForward':
      return denseForward(hand, task);
    case 'denseBackward':
      return denseBackward(hand, task);
    default:
      return unreachable(phase);
  }
}
