import type { Rng } from '../math/rng.ts';
import { fill } from './fill.ts';
import { PEOPLE } from './names.ts';
import { WORDS } from './words.ts';

const REMARKS: readonly string[] = [
  'which is in {city}',
  'see page {page}',
  'about {number} of them',
  'mostly {food} and {food:2}',
  'born in {year}',
  'from {year} to {year:2}',
  'not the {colour} one',
  'a {job} from {country}',
  'for example a {gift} or a {gift:2}',
  'as {N} said',
  'the {adj} one near the {place}',
  'on {day} and {day:2}',
  'only {page} kg',
];

const SENTENCES: readonly string[] = [
  'The {thing} ({remark}) was sold in {month}.',
  '{N} ({remark}) works for the {org}.',
  'The {org} ({short}) was founded in {city} in {year}.',
  'Members of the {short} met at the {place} ({remark}).',
  'We visited the {place} ({remark}), the {place:2} ({remark2}) and the {place:3}.',
  'In {year} the {org} ({short}, {remark}) opened an office in {city}.',
  'The {animal} ({remark} ({remark2})) lives in {country}.',
  'A report of the {org} ({short}) says that {food} is cheap (see table {page}).',
  '({capital} {N} was there too.)',
  'The price ({page} pounds, or {page:2} with the {gift}) was too high.',
  'Most people ({remark}; {remark2}) prefer {food}.',
  'Bring a {gift} (or a {gift:2}), some {food} (not {food:2}) and a {adj} {gift:3}.',
];

/** Sentences with parentheses, some nested, and organisations with their acronyms: "World Health Group (WHG)". */
export function bracketed(rng: Rng): string {
  const org = [rng.pick(WORDS['region']!), rng.pick(WORDS['field']!), rng.pick(WORDS['body']!)];
  const count = 1 + rng.int(5);
  const sentences: string[] = [];
  for (let i = 0; i < count; i++) {
    const numbers = {
      N: rng.pick(PEOPLE).name,
      page: String(1 + rng.int(99)),
      'page:2': String(100 + rng.int(900)),
      year: String(1800 + rng.int(100)),
      'year:2': String(1900 + rng.int(125)),
    };
    sentences.push(
      fill(rng, rng.pick(SENTENCES), {
        ...numbers,
        org: org.join(' '),
        short: org.map((word) => word.charAt(0)).join(''),
        remark: fill(rng, rng.pick(REMARKS), numbers),
        remark2: fill(rng, rng.pick(REMARKS), numbers),
        capital: rng.pick(['Even', 'Perhaps', 'Of course', 'Later']),
      }),
    );
  }
  return sentences.join(' ');
}
