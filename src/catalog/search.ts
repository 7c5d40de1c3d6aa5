import { CallerError } from '../domain/errors.ts';
import type { CatalogReader, DictionaryRow } from '../ports/CatalogReader.ts';
import type { FeatureSearch, SearchEngine, SearchFilter, SearchPage, SearchPosition } from '../ports/FeatureSearch.ts';
import { decodeCursor, encodeCursor, scopeHash } from './cursor.ts';
import { selectDictionaries, type DictionarySelection } from './dictionaries.ts';
import { viewsOf, type FeatureView } from './features.ts';
import { checkFirst, checkList, checkText, LIMITS } from './limits.ts';
import type { Page, PageArgs, PageEdge } from './page.ts';

export interface SearchArgs extends PageArgs {
  readonly query: string;
  readonly prefix?: boolean | null;
  readonly selection: DictionarySelection;
  readonly explainers?: readonly string[] | null;
  readonly minScore?: number | null;
}

export interface SearchEdge extends PageEdge<FeatureView> {
  readonly relevance: number;
  readonly highlight: string;
  readonly explainer: string;
}

export interface SearchResultPage extends Page<FeatureView, SearchEdge>, Pick<SearchPage, 'matched' | 'engine' | 'fallback' | 'order' | 'total'> {}

/** Features whose explanations match, best first. Statements: the dictionaries, the search itself, the features found. */
export async function searchFeatures(reader: CatalogReader, search: FeatureSearch, args: SearchArgs): Promise<SearchResultPage> {
  const first = checkFirst(args.first);
  const { query, prefix, explainers, minScore } = checkSearch(args);
  const scope = `search ${scopeHash(query, args.selection, minScore, prefix, explainers)}`;
  const after = args.after ?? null;
  const decoded = after === null ? null : decodeCursor(scope, ['string', 'string'], after);
  const hasPrevious = after !== null;
  const dictionaries = await selectDictionaries(reader, args.selection);
  if (dictionaries.length === 0) {
    return { edges: [], hasNext: false, hasPrevious, matched: 'words', engine: 'postgres', fallback: null, order: 'relevance', total: { value: 0, exact: true } };
  }
  const { hits, ...page } = await search.search({
    query,
    prefix,
    dictionaryIds: narrows(args.selection) ? dictionaries.map((dictionary) => dictionary.id) : null,
    explainers,
    minScore,
    first,
    after: decoded === null ? null : { engine: decoded[0] as SearchEngine, position: positionOf(decoded[1] as string) },
  });
  return { ...page, edges: await edgesOf(reader, dictionaries, { hits, engine: page.engine }, scope), hasPrevious };
}

/** What of a search does not concern its page, checked. */
export function checkSearch(args: Omit<SearchArgs, 'first' | 'after'>): Pick<SearchFilter, 'query' | 'prefix' | 'explainers' | 'minScore'> {
  checkList('explainers', args.explainers);
  for (const explainer of args.explainers ?? []) checkText('explainers', explainer, LIMITS.queryCharacters);
  return { query: checkText('query', args.query.trim(), LIMITS.queryCharacters), prefix: args.prefix ?? null, explainers: args.explainers ?? null, minScore: args.minScore ?? null };
}

/** Cursors are the caller's to damage; whether the values are a position, the engine says. */
function positionOf(text: string): SearchPosition {
  let parsed: unknown = null;
  try {
    parsed = JSON.parse(text);
  } catch {}
  if (!Array.isArray(parsed) || !parsed.every((value) => typeof value === 'number' || typeof value === 'string')) {
    throw new CallerError('BAD_CURSOR', 'after is a damaged cursor: expected an endCursor of the same list', { field: ['after'] });
  }
  return parsed;
}

/** Whether the selection leaves anything out. */
export function narrows(selection: DictionarySelection): boolean {
  return Object.values(selection).some((value) => value !== undefined && value !== null);
}

async function edgesOf(
  reader: CatalogReader,
  dictionaries: readonly DictionaryRow[],
  { hits, engine }: Pick<SearchPage, 'hits' | 'engine'>,
  scope: string,
): Promise<SearchEdge[]> {
  if (hits.length === 0) return [];
  const byId = new Map(dictionaries.map((dictionary) => [dictionary.id, dictionary]));
  const views = await viewsOf(
    reader,
    hits,
    hits.map((hit) => byId.get(hit.dictionaryId) ?? null),
  );
  return hits.flatMap((hit, i) => {
    const node = views[i] ?? null;
    // A dictionary replaced between the two reads leaves hits without features: they are gone, not failures.
    if (node === null) return [];
    const cursor = encodeCursor(scope, [engine, JSON.stringify(hit.position)]);
    return [{ node, cursor, relevance: hit.relevance, highlight: hit.highlight, explainer: hit.explainer }];
  });
}
