import type { Rng } from '../math/rng.ts';
import { CallerError } from '../domain/errors.ts';
import { fill } from './fill.ts';
import { fnv1a } from './hash.ts';
import { TRAINING_NAMES } from './names.ts';

/**
 * Indirect-object identification: two people are named, one (the subject S) is named again as the giver, and the sentence
 * must end with the other (the indirect object IO). The task is that of Wang et al. 2022 (arXiv:2211.00593); all
 * sentences are our own. "ABBA": IO is named first, then S, then S again. "BABA": S first.
 */
export interface IoiPrompt {
  /** Ends right before the answer, without a trailing space. */
  readonly prompt: string;
  /** The indirect object with a space before it, e.g. " Mary". Stands once in the prompt. */
  readonly answer: string;
  /** The subject with a space before it. Stands twice in the prompt. */
  readonly distractor: string;
  readonly order: 'ABBA' | 'BABA';
  /** Index into the openings and the actions. */
  readonly opening: number;
  readonly action: number;
}

/**
 * {1} and {2} are the two people in the order in which they are named first. A word always stands before {1}, so each name
 * has a space before it and is one token.
 */
export const OPENINGS: readonly string[] = [
  'When {1} and {2} went to the {place}, ',
  'After {1} and {2} met at the {place}, ',
  'While {1} and {2} were waiting at the {place}, ',
  'In {month} {1} and {2} spent a day at the {place}. ',
  'Then {1} and {2} walked to the {place}. ',
  'This morning {1} sat beside {2} at the {place}. ',
  'As {1} and {2} came back from the {place}, ',
  'Because {1} and {2} were both at the {place}, ',
  'One day {1} invited {2} to the {place}, and ',
  'At the {place}, {1} talked with {2} for a while. Later ',
  'For years {1} and {2} had been good friends. On {day}, ',
  'Yesterday {1} saw {2} near the {place}. ',
  'For a long time {1} had not seen {2}. At the {place} ',
  'Once {1} and {2} had finished the {task}, ',
  'On {day} {1} helped {2} with the {task}. ',
  'Before {1} and {2} left the {place}, ',
  'There were two people at the {place}, {1} and {2}. ',
  'It was {weather} when {1} and {2} reached the {place}. ',
  'Last {month} {1} and {2} travelled to {city}. There ',
  'The {place} was closed, so {1} and {2} went home. At home ',
];

export const ACTIONS: readonly string[] = [
  '{S} gave a {gift} to',
  '{S} handed the {gift} to',
  '{S} wanted to give the {gift} to',
  '{S} passed a {adj} {gift} to',
  '{S} offered the {gift} to',
  '{S} decided to show the {gift} to',
  '{S} sent a {gift} to',
  '{S} brought a {adj} {gift} to',
  '{S} sold the {adj} {gift} to',
  '{S} read a {text} to',
  '{S} said something kind to',
  '{S} bought a {gift} for',
  '{S} threw the {gift} to',
  '{S} lent a {gift} to',
  '{S} told a {adj} story to',
  '{S} found a {gift} for',
  '{S} returned the {gift} to',
  '{S} promised the {adj} {gift} to',
  '{S} wrote a {text} for',
  '{S} showed {number} pictures to',
];

/** How many openings and actions there are: every pair of them is one template. */
export const IOI_TEMPLATES = { openings: OPENINGS.length, actions: ACTIONS.length } as const;

/** Which (IO, S, opening, action) combinations to draw from: one in ten is kept out of training. */
export type IoiCombinations = 'train' | 'heldout' | 'any';

/** Whether this combination of names and template is kept out of the training split. */
export function isHeldOutCombination(io: string, s: string, opening: number, action: number): boolean {
  return fnv1a(`ioi|${io}|${s}|${opening}|${action}`) % 10 === 0;
}

/**
 * One indirect-object prompt.
 *
 * @param options.names pool of first names (default: TRAINING_NAMES; give HELD_OUT_NAMES for unseen ones).
 * @param options.combinations default 'any'.
 * @throws CallerError (BAD_INPUT) for fewer than two distinct names.
 */
export function ioiPrompt(rng: Rng, options: { names?: readonly string[]; combinations?: IoiCombinations } = {}): IoiPrompt {
  const names = options.names ?? TRAINING_NAMES;
  const combinations = options.combinations ?? 'any';
  if (new Set(names).size < 2) {
    throw new CallerError('BAD_INPUT', `expected at least two distinct names for an indirect-object prompt, found [${names.join(', ')}]`);
  }
  for (;;) {
    const io = rng.pick(names);
    const s = rng.pick(names);
    const opening = rng.int(OPENINGS.length);
    const action = rng.int(ACTIONS.length);
    if (io === s) continue;
    if (combinations !== 'any' && isHeldOutCombination(io, s, opening, action) !== (combinations === 'heldout')) continue;
    const order = rng.next() < 0.5 ? 'ABBA' : 'BABA';
    const [first, second] = order === 'ABBA' ? [io, s] : [s, io];
    const prompt = fill(rng, OPENINGS[opening]! + ACTIONS[action]!, { 1: first, 2: second, S: s });
    return { prompt, answer: ` ${io}`, distractor: ` ${s}`, order, opening, action };
  }
}

const ENDINGS: readonly string[] = [
  '.', '.', '.', ' and smiled.', ' before dinner.', ', who was very {mood}.', ' that evening.', ' without a word.', ' and went home.', ' at once.',
];

/** A whole sentence of the training or held-out split: prompt, answer, ending. */
export function ioiSentence(rng: Rng, options: { names?: readonly string[]; combinations?: IoiCombinations } = {}): string {
  const { prompt, answer } = ioiPrompt(rng, options);
  return prompt + answer + fill(rng, rng.pick(ENDINGS));
}
