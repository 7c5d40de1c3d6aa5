import type { Rng } from '../math/rng.ts';
import { capitalise, fill } from './fill.ts';
import { PEOPLE, type Person } from './names.ts';

/** {N} the person's name, {he} {him} {his}; {M} a second person, only ever beside {N} in a sentence without giving. */
const BEGINNINGS: readonly string[] = [
  '{N} lived in a small house near the {place}.',
  '{N} was a {job} from {city}.',
  'Every {day}, {N} walked to the {place} with {his} {animal}.',
  'It was {weather}, and {N} was still at the {place}.',
  'A long time ago there was a {job} called {N}.',
  '{N} had worked as a {job} in {city} for {number} years.',
  'In {month}, {N} moved from {city} to {city:2}.',
  "{N}'s {relative} was a {job}, and {N} wanted to be one too.",
  'Nobody at the {place} knew where {N} had been.',
  'My {relative} {N} has always been fond of {food}.',
];

const MIDDLES: readonly string[] = [
  '{He} had a {colour} {animal} and {number} {adj} books.',
  '{He} opened the door and looked {adverb} into the {room}.',
  'There was a {adj} {gift} on the table.',
  '{He} took the {gift} and put it into {his} bag.',
  "{He} didn't know what to do with the {gift}.",
  "{He} couldn't find {his} {gift}, so {he} went back to the {place}.",
  'On the way {he} saw a {adj} {animal} that was looking for {food}.',
  '{He} was very {mood} because the {place} was closed.',
  "{His} {relative} wasn't there, but {M} was.",
  '{He} asked {M} about the {adj} {thing} near the {place}.',
  '{M} laughed, and {N} laughed with {M_him}.',
  'The {thing} was made of {material}, and it was {number} years old.',
  '{He} bought some {food} and a little {food:2} at the {place}.',
  'After {few} hours {he} was too {mood} to go on.',
  'The {animal} ran away, and {N} ran after it.',
  '{He} thought about {city} and about {his} {relative}.',
  "It wasn't far, but {he} walked {adverb}.",
  'In the {room} {he} found {number} letters from {M}.',
  "\"I've never been to {country},\" said {N}.",
  "\"Where's my {gift}?\" asked {M}.",
  '"I think it is in the {room}," said {N}.',
  'Then {he} closed the {adj} box and waited.',
  '{He} ate the {food} (it was cold) and drank some {food:2}.',
  'The {place} in {city} is larger than the one in {city:2}.',
  '{N} counted the {animal}s: one, two, three, four, five.',
];

const ENDS: readonly string[] = [
  'In the end {N} was {mood} again.',
  '{N} never went back to the {place}.',
  'That night {he} slept well.',
  'And so {N} stayed in {city}.',
  '{He} went home and told {his} {relative} everything.',
  'From that day on, {N} and {M} were friends.',
  "{He} said that {he}'d come back in {month}.",
];

/** A short story about one person, sometimes with a second one; any name, held-out ones too. */
export function story(rng: Rng): string {
  const hero = rng.pick(PEOPLE);
  let other = rng.pick(PEOPLE);
  while (other.name === hero.name) other = rng.pick(PEOPLE);
  const bindings = { ...bindingsOf(hero), M: other.name, M_him: other.object };
  const say = (list: readonly string[]): string => fill(rng, rng.pick(list), bindings);
  const sentences = [say(BEGINNINGS)];
  const middle = 2 + rng.int(6);
  for (let i = 0; i < middle; i++) sentences.push(say(MIDDLES));
  sentences.push(say(ENDS));
  return sentences.join(' ');
}

/** Pronoun slots of a person. */
export function bindingsOf(person: Person): Record<string, string> {
  return {
    N: person.name,
    he: person.subject,
    him: person.object,
    his: person.possessive,
    He: capitalise(person.subject),
    His: capitalise(person.possessive),
  };
}
