import type { Rng } from '../math/rng.ts';
import { fill } from './fill.ts';
import { PEOPLE } from './names.ts';
import { WORDS } from './words.ts';

const DATED: readonly string[] = [
  'On {date} the {place} in {city} was closed.',
  '{N} was born on {date} in {city}, {country}.',
  'The meeting is on {day}, {date}, at {hour}.',
  'From {hour} to {hour:2} the {place} is open.',
  'It costs {price} (or {price:2} on {day}).',
  'About {big} people live in {city}.',
  'The {thing} is {small} metres long and {small:2} metres wide.',
  'In {year}, {small} of the {big} houses were made of {material}.',
  'Call {N} at {phone} before {hour}.',
  'Chapter {small}, page {small:2}: the {job} and the {animal}.',
];

/** Sentences with dates, times, prices and counts. */
export function datedFacts(rng: Rng): string {
  const count = 1 + rng.int(5);
  return Array.from({ length: count }, () => fill(rng, rng.pick(DATED), figures(rng))).join(' ');
}

/** A titled list, with dashes, numbers or commas. */
export function list(rng: Rng): string {
  const kind = rng.pick(['gift', 'food', 'animal', 'place', 'city', 'day', 'month', 'colour', 'job']);
  const items = rng.shuffle([...WORDS[kind]!]).slice(0, 3 + rng.int(5));
  const person = rng.pick(PEOPLE).name;
  const form = rng.int(3);
  const title = fill(rng, rng.pick(["{N}'s list for {day}:", 'Things to remember ({month}):', 'What {N} saw at the {place}:', 'To do in {city}:']), { N: person });
  if (form === 0) return [title, ...items.map((item) => `- ${item}`)].join('\n');
  if (form === 1) return [title, ...items.map((item, i) => `${i + 1}. ${item}`)].join('\n');
  return `${title} ${items.slice(0, -1).join(', ')} and ${items.at(-1)}.`;
}

function figures(rng: Rng): Record<string, string> {
  const month = rng.pick(WORDS['month']!);
  const day = 1 + rng.int(28);
  const year = 1850 + rng.int(175);
  const hour = (): string => `${6 + rng.int(16)}:${rng.pick(['00', '15', '30', '45'])}`;
  const price = (): string => `$${1 + rng.int(90)}.${rng.pick(['00', '50', '99', '25'])}`;
  const two = (n: number): string => String(n).padStart(2, '0');
  const iso = `${year}-${two(1 + WORDS['month']!.indexOf(month))}-${two(day)}`;
  return {
    N: rng.pick(PEOPLE).name,
    date: rng.pick([`${day} ${month} ${year}`, `${month} ${day}, ${year}`, iso]),
    year: String(year),
    hour: hour(),
    'hour:2': hour(),
    price: price(),
    'price:2': price(),
    big: `${1 + rng.int(900)},${two(rng.int(100))}0`,
    small: String(1 + rng.int(60)),
    'small:2': String(1 + rng.int(200)),
    phone: `555-${1000 + rng.int(9000)}`,
  };
}
