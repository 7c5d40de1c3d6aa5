import type { Rng } from '../math/rng.ts';
import { fill } from './fill.ts';
import { PEOPLE } from './names.ts';

const LINES: readonly string[] = [
  "I don't think {he}'s at the {place}",
  "they'll be here on {day}",
  "we can't wait for {him} any longer",
  "that's the {adj} {gift} I was looking for",
  "you're right, it isn't {his} {gift}",
  "I'm sure she won't mind",
  "we've lost the key to the {room}",
  "it doesn't matter, there's enough {food}",
  "I'd like some {food}, please",
  "you shouldn't have gone to {city}",
  "they weren't {mood} at all",
  "let's go to the {place} before it's too late",
  "he hasn't read the {text} yet",
  "who's the {job} over there",
  "I wouldn't buy that {thing}",
  "it's {weather} in {city}",
];
const SAID: readonly string[] = ['said', 'answered', 'replied', 'whispered', 'shouted', 'explained'];

/** People talking: double quotes, apostrophes in contractions, speaker before or after the words. */
export function dialogue(rng: Rng): string {
  const [first, second, third] = rng.shuffle([...PEOPLE]);
  const turns = 2 + rng.int(5);
  const lines: string[] = [];
  for (let i = 0; i < turns; i++) {
    const speaker = (i % 2 === 0 ? first : second)!.name;
    const words = fill(rng, rng.pick(LINES), { he: third!.subject, him: third!.object, his: third!.possessive });
    const start = words.charAt(0).toUpperCase() + words.slice(1);
    const verb = rng.pick(SAID);
    const form = rng.int(3);
    if (form === 0) lines.push(`"${start}," ${verb} ${speaker}.`);
    else if (form === 1) lines.push(`${speaker} ${verb}: "${start}."`);
    else lines.push(`"${start}," ${verb} ${speaker}, "and ${fill(rng, rng.pick(LINES), { he: third!.subject, him: third!.object, his: third!.possessive })}."`);
  }
  return lines.join(rng.next() < 0.5 ? '\n' : ' ');
}
