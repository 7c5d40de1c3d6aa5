import type { FeatureKey } from './CatalogReader.ts';

/** What answered: the catalog's own database, or the search server kept beside it. */
export type SearchEngine = 'postgres' | 'meilisearch';

/**
 * How hits were found: whole words; the last word as the beginning of one; similar spelling (when nothing else matched);
 * or by meaning, from vectors.
 */
export type SearchMatched = 'words' | 'prefix' | 'similar' | 'semantic';

/**
 * Order of the hits: by relevance throughout, or, where too many match to rank each, in bands of descending score of the
 * explanation, inside each of which relevance decides.
 */
export type SearchOrder = 'relevance' | 'bands';

/** Where a hit lies in one engine's order of one query: that engine's own, at most 400 characters as JSON. */
export type SearchPosition = readonly (number | string)[];

export interface SearchHit extends FeatureKey {
  readonly explainer: string;
  /** Above 0, higher is better; comparable only within one query, and in one band where the order has bands. */
  readonly relevance: number;
  /** The description with matches between <mark> and </mark>; other text HTML-escaped. */
  readonly highlight: string;
  readonly position: SearchPosition;
}

/** What is looked for, and where. All filters hold before anything is counted or limited. */
export interface SearchFilter {
  /**
   * Words, "quoted phrases", -excluded, or. A trailing `*` is `prefix: true`. Signs separate words. At most 1000 characters
   * (LIMIT_EXCEEDED); BAD_INPUT when nothing is looked for.
   */
  readonly query: string;
  /**
   * Whether the last word may be the beginning of one: true = yes; false = no; null = only when no whole word matches and the
   * query ends in one, as when it is still being typed.
   */
  readonly prefix: boolean | null;
  /** null = all; otherwise these only, at most a few thousand. */
  readonly dictionaryIds: readonly number[] | null;
  /** Where some dictionaries do not exist for who asks: those that do. Words of others neither complete nor correct the query. Absent = all exist. */
  readonly visible?: readonly number[];
  /** null = all; otherwise by these only. */
  readonly explainers: readonly string[] | null;
  /** Least simulation-top-random score of the matching explanation; null = any, undefined scores too. */
  readonly minScore: number | null;
}

export interface SearchRequest extends SearchFilter {
  readonly first: number;
  /** The last hit of the page before, and who gave it. A position an engine did not give is refused as BAD_CURSOR. */
  readonly after: { readonly engine: SearchEngine; readonly position: SearchPosition } | null;
}

/** A number of matches: the number itself, or one that was estimated from statistics or a sample. */
export interface SearchCount {
  readonly value: number;
  readonly exact: boolean;
}

export interface SearchPage {
  readonly hits: readonly SearchHit[];
  readonly hasNext: boolean;
  readonly matched: SearchMatched;
  readonly order: SearchOrder;
  /** Matching explanations in all, not only after the cursor; null where even an estimate would cost. */
  readonly total: SearchCount | null;
  readonly engine: SearchEngine;
  /** Why the other engine did not answer, in words for the caller; null when this one was meant to. */
  readonly fallback: string | null;
}

/** How matches distribute, most frequent first; what no match has is left out. At most 1000 dictionaries, 100 explainers. */
export interface SearchFacets {
  readonly dictionaries: readonly { readonly dictionaryId: number; readonly count: number }[];
  readonly explainers: readonly { readonly explainer: string; readonly count: number }[];
  /** Whether the counts are exact; otherwise they are scaled up from a sample of matches. */
  readonly exact: boolean;
  readonly engine: SearchEngine;
}

/** Full-text search over explanations. */
export interface FeatureSearch {
  search(request: SearchRequest): Promise<SearchPage>;
  /** Counts over all matches of the filter, found in the way the page before was: its `matched`, by its `engine` where that still answers. */
  facets(filter: SearchFilter, page: { readonly matched: SearchMatched; readonly engine: SearchEngine }): Promise<SearchFacets>;
}
