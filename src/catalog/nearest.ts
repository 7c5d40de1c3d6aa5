import { CallerError } from '../domain/errors.ts';
import type { DictionaryRow, FeatureKey, NearestRow } from '../ports/CatalogReader.ts';
import { scopeHash } from './cursor.ts';
import { checkList } from './limits.ts';
import { pageOfList, type Page, type PageArgs } from './page.ts';

export interface NearestArgs extends PageArgs {
  /** Names of dictionaries, and layers: any of them; all when absent. */
  readonly dictionaries?: readonly string[] | null;
  readonly layers?: readonly number[] | null;
  readonly minCosine?: number | null;
}

/** What is asked of dictionaries, if anything is. */
export function choosesDictionaries({ dictionaries, layers }: NearestArgs): boolean {
  return (dictionaries ?? null) !== null || (layers ?? null) !== null;
}

/**
 * A page of the features near one, over all dictionaries together: greatest cosine first, then by dictionary and index, as `rows` are.
 * `found`: their dictionaries by id; asked for only where `choosesDictionaries`.
 */
export function nearestPage(feature: FeatureKey, rows: readonly NearestRow[], found: ReadonlyMap<number, DictionaryRow>, args: NearestArgs): Page<NearestRow> {
  const { dictionaries = null, layers = null, minCosine = null } = args;
  checkList('dictionaries', dictionaries);
  checkList('layers', layers);
  if (minCosine !== null && !(minCosine >= -1 && minCosine <= 1)) throw new CallerError('BAD_INPUT', `minCosine is ${minCosine}: expected a cosine, -1 to 1`, { field: ['minCosine'] });
  const chosen = (id: number): boolean => {
    const dictionary = found.get(id);
    return dictionary !== undefined && (dictionaries === null || dictionaries.includes(dictionary.name)) && (layers === null || layers.includes(dictionary.layer));
  };
  const all = choosesDictionaries(args);
  const wanted = rows.filter(({ dictionaryId, cosine }) => (!all || chosen(dictionaryId)) && (minCosine === null || cosine >= minCosine));
  const scope = `nearest ${scopeHash(feature.dictionaryId, feature.index, dictionaries, layers, minCosine)}`;
  return pageOfList(wanted, { scope, shape: ['number', 'index', 'index'], key: ({ cosine, dictionaryId, index }) => [-cosine, dictionaryId, index] }, args);
}
