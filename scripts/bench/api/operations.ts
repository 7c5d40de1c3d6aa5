import { Rng } from '../../../src/math/rng.ts';
import { MODEL, type DictionaryPlan, type Words } from './data.ts';
import type { Question } from './measure.ts';

/** What one question is about; each server's operation is made of it. */
export interface Subject {
  readonly dictionary: DictionaryPlan;
  readonly index: number;
  readonly atLeast: number;
  readonly words: string;
}

export interface Operation {
  readonly name: string;
  ours(subject: Subject): Question;
}

const FEATURE = `query ($a: FeatureAddress!) { feature(address: $a) { index density maxActivation meanActivation dictionary { name }
  exemplars(kinds: [TOP, QUANTILE, RANDOM], first: 10) { rank row start maxActivation texts activations }
  explanations(first: 1) { nodes { explainer description scores { scorer judge value n interval { low high } } } }
  incomingEdges(first: 10) { edges { effect standardError n node { index dictionary { name } } } } } }`;

const PAGE = `query ($d: [String!]!, $min: Float!) { features(filter: { model: "${MODEL}", dictionaries: $d, maxActivation: { min: $min } }, orderBy: DENSITY_DESC, first: 50) {
  nodes { index density maxActivation bestScore dictionary { name } } } }`;

const SEARCH = `query ($q: String!) { searchFeatures(query: $q, first: 20) { edges { explainer highlight node { index density maxActivation dictionary { name } } } } }`;

const LEVEL = (inner: string): string => `incomingEdges(first: 5) { edges { effect standardError node { index density dictionary { name } ${inner} } } }`;
const CIRCUIT = `query ($a: FeatureAddress!) { feature(address: $a) { index dictionary { name } ${LEVEL(LEVEL(LEVEL('')))} } }`;

const address = ({ dictionary, index }: Subject): string => `${MODEL}/${dictionary.name}/${index}`;

export const OPERATIONS: readonly Operation[] = [
  { name: 'feature by address', ours: (s) => ({ query: FEATURE, variables: { a: address(s) } }) },
  { name: 'page of 50', ours: (s) => ({ query: PAGE, variables: { d: [s.dictionary.name], min: s.atLeast } }) },
  { name: 'search', ours: (s) => ({ query: SEARCH, variables: { q: s.words } }) },
  { name: 'circuit, 3 levels', ours: (s) => ({ query: CIRCUIT, variables: { a: address(s) } }) },
];

/** Seeded subjects: features with three dictionaries upstream; one or two words, from the common to the rare. */
export function subjectsOf(plans: readonly DictionaryPlan[], { vocabulary }: Words, count: number): readonly Subject[] {
  const rng = new Rng(5);
  return Array.from({ length: count }, () => {
    const dictionary = plans[3 + rng.int(plans.length - 3)]!;
    const word = (): string => vocabulary[20 + Math.floor(2000 * rng.next() ** 2)]!;
    return { dictionary, index: rng.int(dictionary.features), atLeast: 1 + 10 * rng.next(), words: rng.int(2) === 0 ? word() : `${word()} or ${word()}` };
  });
}
