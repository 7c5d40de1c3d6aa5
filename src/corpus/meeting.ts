import type { Rng } from '../math/rng.ts';
import { fill } from './fill.ts';
import { OPENINGS } from './ioi.ts';
import { bindingsOf } from './story.ts';
import { HELD_OUT_NAMES, PEOPLE, type Person } from './names.ts';

/** What follows an opening with two people; {S} is either of them, {O} the other. Nobody named gives anything to anybody named. */
const TOGETHER: readonly string[] = [
  '{S} was very {mood}.',
  '{S} was {mood}, but {O} was {mood:2}.',
  '{S} looked {adverb} at the {thing}.',
  '{S} said that it was {weather}.',
  '{S} ate some {food} and {O} drank {food:2}.',
  "{S} didn't want to leave without {O}.",
  '{S} had lost a {gift}, and {O} helped to look for it.',
  '{S} asked where the {animal} was, but {O} had not seen it.',
  '{S} wore a {colour} hat. The hat of {O} was {colour:2}.',
  '{S} fell asleep, so {O} waited.',
  '{S} knew the {job}, and so did {O}.',
];

/** One person alone, with an unnamed giver. */
const ALONE: readonly string[] = [
  '{N} waited at the {place}. A {job} gave a {gift} to {N}.',
  'It was the birthday of {N}. Everybody had brought a {gift} for {N}.',
  'When {N} came to the {place}, the {job} showed a {adj} {gift} to {N}.',
  'The {job} had a {text} for {N}, but {N} was not at the {place}.',
  'Nobody at the {place} wanted to talk to {N}, so {N} went home.',
];

/**
 * Short passages in which names come back, without indirect objects to choose: they teach the model to treat every name,
 * the held-out ones above all, as a name that may be said again. Two names in five are held-out ones.
 */
export function meeting(rng: Rng): string {
  const count = 1 + rng.int(4);
  const sentences: string[] = [];
  for (let i = 0; i < count; i++) {
    const first = person(rng);
    if (rng.next() < 0.25) {
      sentences.push(fill(rng, rng.pick(ALONE), bindingsOf(first)));
      continue;
    }
    let second = person(rng);
    while (second.name === first.name) second = person(rng);
    const [s, other] = rng.next() < 0.5 ? [first, second] : [second, first];
    sentences.push(fill(rng, rng.pick(OPENINGS) + rng.pick(TOGETHER), { 1: first.name, 2: second.name, S: s.name, O: other.name }));
  }
  return sentences.join(rng.next() < 0.3 ? '\n' : ' ');
}

const HELD_OUT: readonly Person[] = PEOPLE.filter((person) => HELD_OUT_NAMES.includes(person.name));

function person(rng: Rng): Person {
  return rng.pick(rng.next() < 0.25 ? HELD_OUT : PEOPLE);
}
