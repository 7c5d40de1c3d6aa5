import type { IndexPlan } from '../../ports/SearchIndex.ts';

/** Form of the documents and settings below: an index of another one is built anew. */
export const FORMAT = 2;
/** Hits that can be paged through. The server's own default is 1,000. */
export const MOST_HITS = 100_000;
/** Values of one facet. */
export const MOST_FACETS = 1000;
/** Words the server reads of a query (milli, `words_limit`); the rest it would leave out without a word. */
export const MOST_WORDS = 10;
export const EMBEDDER = 'description';
/** Id of the document that says what the index is; it is no feature. */
export const META = 'meta';

/** Holds of every document that is an explanation. An index that came into being by accident refuses it: nothing is filterable there. */
export const IS_EXPLANATION = 'dictionaryId >= 0';

/** Signs separate words, everywhere, as in PostgreSQL's index; the server by itself takes `<div` or `alert(1` for one. */
const SIGNS = [...'!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~'];

const equality = { facetSearch: false, filter: { equality: true, comparison: false } };
const comparison = { facetSearch: false, filter: { equality: true, comparison: true } };

/** Settings of an index (Meilisearch's reference, "Settings"). */
export function settingsOf({ vectors, synonyms }: Pick<IndexPlan, 'vectors' | 'synonyms'>): object {
  return {
    searchableAttributes: ['description'],
    displayedAttributes: ['*'],
    filterableAttributes: [
      { attributePatterns: ['model', 'dictionary', 'explainer', 'index'], features: equality },
      { attributePatterns: ['dictionaryId', 'layer', 'bestScore', 'revision'], features: comparison },
    ],
    sortableAttributes: ['bestScore', 'layer', 'dictionaryId', 'index'],
    // Of equal matches the better explained comes first.
    rankingRules: ['words', 'typo', 'proximity', 'attribute', 'sort', 'exactness', 'bestScore:desc'],
    stopWords: [],
    separatorTokens: SIGNS,
    typoTolerance: { enabled: true, minWordSizeForTypos: { oneTypo: 5, twoTypos: 9 } },
    pagination: { maxTotalHits: MOST_HITS },
    faceting: { maxValuesPerFacet: MOST_FACETS, sortFacetValuesBy: { '*': 'count' } },
    synonyms: synonymsOf(synonyms),
    searchCutoffMs: 1000,
    embedders: vectors === null ? {} : { [EMBEDDER]: { source: 'userProvided', dimensions: vectors.dimensions } },
  };
}

/** Each word of a group stands for all others of it. */
export function synonymsOf(groups: IndexPlan['synonyms']): Record<string, readonly string[]> {
  const found = new Map<string, Set<string>>();
  for (const group of groups) {
    for (const word of group) {
      const others = found.get(word) ?? new Set<string>();
      for (const other of group) if (other !== word) others.add(other);
      found.set(word, others);
    }
  }
  return Object.fromEntries([...found].map(([word, others]) => [word, [...others]]));
}
