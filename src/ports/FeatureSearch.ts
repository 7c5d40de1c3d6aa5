import type { FeatureKey } from './CatalogReader.ts';

export interface SearchHit extends FeatureKey {
  readonly explainer: string;
  /** Higher is better; comparable only within one query. */
  readonly relevance: number;
  /** The description with matches between <mark> and </mark>; other text HTML-escaped. */
  readonly highlight: string;
}

export interface SearchRequest {
  /** Words, "quoted phrases", -excluded, or. */
  readonly query: string;
  readonly dictionaryIds: readonly number[] | null;
  readonly minScore: number | null;
  readonly first: number;
  readonly after: { readonly relevance: number; readonly dictionaryId: number; readonly index: number; readonly explainer: string } | null;
}

export interface SearchPage {
  readonly hits: readonly SearchHit[];
  readonly hasNext: boolean;
  /** How the hits were found: whole words, or (when none matched) by similar spelling. */
  readonly matched: 'words' | 'similar';
}

/** Full-text search over explanations. */
export interface FeatureSearch {
  search(request: SearchRequest): Promise<SearchPage>;
}
