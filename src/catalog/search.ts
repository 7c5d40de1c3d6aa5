import { CallerError } from '../domain/errors.ts';
import type { CatalogReader, DictionaryRow } from '../ports/CatalogReader.ts';
import type { FeatureSearch, SearchEngine, SearchPage, SearchPosition } from '../ports/FeatureSearch.ts';
import { decodeCursor, encodeCursor, scopeHash } from './cursor.ts';
import { selectDictionaries, type DictionarySelection } from './dictionaries.ts';
import { viewsOf, type FeatureView } from './features.ts';
import { checkFirst, checkText, LIMITS } from './limits.ts';
import type { Page, PageArgs, PageEdge } from './page.ts';

export interface SearchArgs extends PageArgs {
  readonly query: string;
  readonly selection: DictionarySelection;
  readonly minScore?: number | null;
}

export interface SearchEdge extends PageEdge<FeatureView> {
  readonly relevance: number;
  readonly highlight: string;
  readonly explainer: string;
}

export interface SearchResultPage extends Page<FeatureView, SearchEdge> {
  readonly matched: SearchPage['matched'];
}

/** Features whose explanations match, best first. Statements: the dictionaries, the search itself, the features found. */
export async function searchFeatures(reader: CatalogReader, search: FeatureSearch, args: SearchArgs): Promise<SearchResultPage> {
  const first = checkFirst(args.first);
  const query = checkText('query', args.query.trim(), LIMITS.queryCharacters);
  const minScore = args.minScore ?? null;
  const scope = `search ${scopeHash(query, args.selection, minScore)}`;
  const after = args.after ?? null;
  const decoded = after === null ? null : decodeCursor(scope, ['string', 'string'], after);
  const hasPrevious = after !== null;
  const dictionaries = await selectDictionaries(reader, args.selection);
  if (dictionaries.length === 0) return { edges: [], hasNext: false, hasPrevious, matched: 'words' };
  const page = await search.search({
    query,
    dictionaryIds: narrows(args.selection) ? dictionaries.map((dictionary) => dictionary.id) : null,
    minScore,
    first,
    prefix: null,
    explainers: null,
    after: decoded === null ? null : { engine: decoded[0] as SearchEngine, position: positionOf(decoded[1] as string) },
  });
  return { edges: await edgesOf(reader, dictionaries, page, scope), hasNext: page.hasNext, hasPrevious, matched: page.matched };
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

function narrows(selection: DictionarySelection): boolean {
  return Object.values(selection).some((value) => value !== undefined && value !== null);
}

async function edgesOf(
  reader: CatalogReader,
  dictionaries: readonly DictionaryRow[],
  { hits, engine }: SearchPage,
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
