import { CallerError } from '../domain/errors.ts';
import { Rng } from '../math/rng.ts';
import { fill } from './fill.ts';
import { ACTIONS, isHeldOutCombination, OPENINGS } from './ioi.ts';

/**
 * An indirect-object prompt and its counterfactual: the same sentence with another person, not named so far, in the indirect
 * object's place, as in Cunningham et al. 2023, section 4.2. Subject, places and things are the same in both.
 */
export interface IoiPair {
  /** Both end right before the answer, without a trailing space. */
  readonly base: string;
  readonly counterfactual: string;
  /** Three distinct names: who is given something in the base prompt and in the counterfactual, and who gives in both. */
  readonly io: string;
  readonly other: string;
  readonly subject: string;
  readonly order: 'ABBA' | 'BABA';
  /** Index into OPENINGS and ACTIONS: together the template. */
  readonly opening: number;
  readonly action: number;
}

/**
 * One pair. Its base prompt is never one of the demo model's training sentences (isHeldOutCombination).
 *
 * @throws CallerError (BAD_INPUT) for fewer than three distinct names.
 */
export function ioiPair(rng: Rng, names: readonly string[]): IoiPair {
  const distinct = [...new Set(names)];
  if (distinct.length < 3) {
    throw new CallerError('BAD_INPUT', `expected at least three distinct names for an indirect-object prompt and its counterfactual, found [${distinct.join(', ')}]`);
  }
  for (;;) {
    const [io, subject, other] = [rng.pick(distinct), rng.pick(distinct), rng.pick(distinct)];
    const [opening, action] = [rng.int(OPENINGS.length), rng.int(ACTIONS.length)];
    if (io === subject || io === other || subject === other || !isHeldOutCombination(io, subject, opening, action)) continue;
    const order = rng.next() < 0.5 ? 'ABBA' : 'BABA';
    const words = rng.uint32(); // one seed, so that both sentences draw the same words
    const sentence = (given: string): string => {
      const [first, second] = order === 'ABBA' ? [given, subject] : [subject, given];
      return fill(new Rng(words), OPENINGS[opening] + ACTIONS[action], { 1: first, 2: second, S: subject });
    };
    return { base: sentence(io), counterfactual: sentence(other), io, other, subject, order, opening, action };
  }
}
