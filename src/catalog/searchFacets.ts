import type { CatalogReader, DictionaryRow } from '../ports/CatalogReader.ts';
import type { FeatureSearch, SearchEngine, SearchPage } from '../ports/FeatureSearch.ts';
import { selectDictionaries } from './dictionaries.ts';
import { LIMITS } from './limits.ts';
import { checkSearch, narrows, type SearchArgs } from './search.ts';

/** A value and how many of the matches have it. */
export interface FacetCount<Value> {
  readonly value: Value;
  readonly count: number;
}

/** How a search's matches distribute, most frequent first, at most LIMITS.filterValues of each; `exact` or estimated from a sample. */
export interface FacetCounts {
  readonly models: readonly FacetCount<string>[];
  readonly dictionaries: readonly FacetCount<DictionaryRow>[];
  readonly layers: readonly FacetCount<number>[];
  readonly explainers: readonly FacetCount<string>[];
  readonly exact: boolean;
  readonly engine: SearchEngine;
}

/** Over all matches of a search, not only of its page, found in the way the page was. Statements: the dictionaries, the counts. */
export async function searchFacets(reader: CatalogReader, search: FeatureSearch, args: SearchArgs, page: Pick<SearchPage, 'matched' | 'engine'>): Promise<FacetCounts> {
  const checked = checkSearch(args);
  const dictionaries = await selectDictionaries(reader, args.selection);
  if (dictionaries.length === 0) return { models: [], dictionaries: [], layers: [], explainers: [], exact: true, engine: page.engine };
  const facets = await search.facets({ ...checked, dictionaryIds: narrows(args.selection) ? dictionaries.map(({ id }) => id) : null }, page);
  const byId = new Map(dictionaries.map((dictionary) => [dictionary.id, dictionary]));
  // A dictionary that went between the two statements is not named.
  const found = facets.dictionaries.flatMap(({ dictionaryId, count }) => {
    const value = byId.get(dictionaryId);
    return value === undefined ? [] : [{ value, count }];
  });
  return {
    models: summed(found, (dictionary) => dictionary.model),
    dictionaries: found.slice(0, LIMITS.filterValues),
    layers: summed(found, (dictionary) => dictionary.layer),
    explainers: facets.explainers.map(({ explainer, count }) => ({ value: explainer, count })),
    exact: facets.exact,
    engine: facets.engine,
  };
}

function summed<Value extends string | number>(found: readonly FacetCount<DictionaryRow>[], valueOf: (dictionary: DictionaryRow) => Value): FacetCount<Value>[] {
  const counts = new Map<Value, number>();
  for (const { value, count } of found) counts.set(valueOf(value), (counts.get(valueOf(value)) ?? 0) + count);
  return [...counts]
    .map(([value, count]) => ({ value, count }))
    .sort((a, b) => b.count - a.count || (a.value < b.value ? -1 : 1))
    .slice(0, LIMITS.filterValues);
}
