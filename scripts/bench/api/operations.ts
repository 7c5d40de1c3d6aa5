import { Rng } from '../../../src/math/rng.ts';
import { MODEL, type DictionaryPlan, type Words } from './data.ts';
import type { Question } from './measure.ts';

/** What one question is about; each server's operation is made of it. */
export interface Subject {
  readonly dictionary: DictionaryPlan;
  /** Key of the dictionary in the database: PostGraphile is given it, and need not look the name up. */
  readonly dictionaryId: number;
  readonly index: number;
  readonly atLeast: number;
  readonly words: string;
}

/** An answer as plain objects and lists, as JSON gives it. */
export type Answer = Readonly<Record<string, unknown>>;

export interface Operation {
  readonly name: string;
  ours(subject: Subject): Question;
  peers(subject: Subject): Question;
  /** Whether answers of this kind compare only as sets, and only while they are shorter than a page: the servers rank by different rules. */
  readonly ranked?: boolean;
}

const FEATURE = `query ($a: FeatureAddress!) { feature(address: $a) { index density maxActivation meanActivation dictionary { name }
  exemplars(kinds: [TOP, QUANTILE, RANDOM], first: 10) { rank row start maxActivation texts activations }
  explanations(first: 1) { nodes { explainer description scores { scorer judge value n interval { low high } } } }
  incoming: incomingEdges(first: 10) { edges { effect standardError n source: node { index dictionary { name } } } } } }`;

const PEER_FEATURE = `query ($d: Int!, $i: Int!) { feature: featureByDictionaryIdAndIndex(dictionaryId: $d, index: $i) { index density maxActivation meanActivation dictionary { name }
  exemplars(orderBy: PRIMARY_KEY_ASC) { rank row start maxActivation texts activations }
  explanations(first: 1, orderBy: PRIMARY_KEY_ASC) { explainer description scores(orderBy: PRIMARY_KEY_ASC) { scorer judge value n low high } }
  incoming(first: 10, orderBy: STRENGTH_DESC) { effect standardError n source { index dictionary { name } } } } }`;

const PAGE = `query ($d: [String!]!, $min: Float!) { page: features(filter: { model: "${MODEL}", dictionaries: $d, maxActivation: { min: $min } }, orderBy: DENSITY_DESC, first: 50) {
  nodes { index density maxActivation bestScore dictionary { name } } } }`;

const PEER_PAGE = `query ($d: String!, $min: Float!) { page: featurePageList(ofDictionary: $d, lowest: $min, most: 50) { index density maxActivation bestScore dictionary { name } } }`;

const SEARCH = `query ($q: String!) { found: searchFeatures(query: $q, first: 20) { edges { explainer highlight feature: node { index density maxActivation dictionary { name } } } } }`;

const PEER_SEARCH = `query ($q: String!) { found: searchExplanationsList(words: $q, most: 20) { explainer highlight feature { index density maxActivation dictionary { name } } } }`;

const level = (inner: string): string => `incoming: incomingEdges(first: 5) { edges { effect standardError source: node { index density dictionary { name } ${inner} } } }`;
const CIRCUIT = `query ($a: FeatureAddress!) { feature(address: $a) { index dictionary { name } ${level(level(level('')))} } }`;
const peerLevel = (inner: string): string => `incoming(first: 5, orderBy: STRENGTH_DESC) { effect standardError source { index density dictionary { name } ${inner} } }`;
const PEER_CIRCUIT = `query ($d: Int!, $i: Int!) { feature: featureByDictionaryIdAndIndex(dictionaryId: $d, index: $i) { index dictionary { name } ${peerLevel(peerLevel(peerLevel('')))} } }`;

const address = ({ dictionary, index }: Subject): string => `${MODEL}/${dictionary.name}/${index}`;
const key = ({ dictionaryId, index }: Subject): Question['variables'] => ({ d: dictionaryId, i: index });

export const OPERATIONS: readonly Operation[] = [
  { name: 'feature by address', ours: (s) => ({ query: FEATURE, variables: { a: address(s) } }), peers: (s) => ({ query: PEER_FEATURE, variables: key(s) }) },
  { name: 'page of 50', ours: (s) => ({ query: PAGE, variables: { d: [s.dictionary.name], min: s.atLeast } }), peers: (s) => ({ query: PEER_PAGE, variables: { d: s.dictionary.name, min: s.atLeast } }) },
  { name: 'search', ours: (s) => ({ query: SEARCH, variables: { q: s.words } }), peers: (s) => ({ query: PEER_SEARCH, variables: { q: s.words } }), ranked: true },
  { name: 'circuit, 3 levels', ours: (s) => ({ query: CIRCUIT, variables: { a: address(s) } }), peers: (s) => ({ query: PEER_CIRCUIT, variables: key(s) }) },
];

/** Seeded subjects: features with three dictionaries upstream; one or two words, from the common to the rare, or rare ones alone. */
export function subjectsOf(plans: readonly DictionaryPlan[], ids: ReadonlyMap<string, number>, { vocabulary }: Words, count: number, rare = false): readonly Subject[] {
  const rng = new Rng(5);
  return Array.from({ length: count }, () => {
    const dictionary = plans[3 + rng.int(plans.length - 3)]!;
    const word = (): string => vocabulary[rare ? 5000 + rng.int(vocabulary.length - 5000) : 20 + Math.floor(2000 * rng.next() ** 2)]!;
    return { dictionary, dictionaryId: ids.get(dictionary.name)!, index: rng.int(dictionary.features), atLeast: 1 + 10 * rng.next(), words: rng.int(2) === 0 ? word() : `${word()} or ${word()}` };
  });
}
