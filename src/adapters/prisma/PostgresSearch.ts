import type { ClientBase, Pool } from 'pg';
import { CallerError } from '../../domain/errors.ts';
import { parseQuery } from '../../domain/searchQuery.ts';
import type { SearchQuery } from '../../domain/searchQuery.ts';
import type { FeatureSearch, SearchEngine, SearchFacets, SearchFilter, SearchMatched, SearchPage, SearchRequest } from '../../ports/FeatureSearch.ts';
import { findPage, placeOf, positionOf } from './searchBands.ts';
import type { Place } from './searchBands.ts';
import { countFacets } from './searchFacets.ts';
import { SearchStatistics } from './searchStatistics.ts';
import { compileQuery } from './searchWords.ts';
import { planned } from './searchSession.ts';

const MAX_QUERY_LENGTH = 1000;
const MODES: readonly string[] = ['words', 'prefix', 'similar'] satisfies SearchMatched[];
const SAID = { engine: 'postgres', fallback: null } as const;

/**
 * Full-text search in PostgreSQL. The words as they are typed; then, where none match, the last as the beginning of one; then each
 * as those alike that occur. While a few hundred match, all are ranked; of more, bands of about fifty, best explained
 * first, so that a page costs the same however common the words (searchBands.ts).
 */
export class PostgresSearch implements FeatureSearch {
  readonly #pool: Pool;
  readonly #statistics = new SearchStatistics();

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  async search(request: SearchRequest): Promise<SearchPage> {
    const query = readQuery(request.query);
    const after = request.after === null ? null : readPosition(request.after);
    return await planned(this.#pool, async (client) => {
      let page: SearchPage | undefined;
      for (const mode of after === null ? modesOf(query, request.prefix) : [after.mode]) {
        page = await this.#page(client, request, query, mode, after?.place ?? null);
        if (page.hits.length > 0) break;
      }
      return page!;
    });
  }

  async facets(filter: SearchFilter, { matched }: { readonly matched: SearchMatched; readonly engine: SearchEngine }): Promise<SearchFacets> {
    const query = readQuery(filter.query);
    return await planned(this.#pool, async (client) => {
      const compiled = await compileQuery(client, query, matched, filter.visible);
      if (compiled === null) return { dictionaries: [], explainers: [], exact: true, engine: 'postgres' };
      return await countFacets(client, this.#statistics, { query: compiled, filter });
    });
  }

  async #page(client: ClientBase, request: SearchRequest, query: SearchQuery, matched: SearchMatched, after: Place | null): Promise<SearchPage> {
    const compiled = await compileQuery(client, query, matched, request.visible);
    if (compiled === null) return { hits: [], hasNext: false, matched, order: 'relevance', total: { value: 0, exact: true }, ...SAID };
    const { hits, ...page } = await findPage(client, this.#statistics, { query: compiled, filter: request }, request.first, after);
    return { ...page, hits: hits.map(({ window, ...hit }) => ({ ...hit, position: positionOf(matched, { ...hit, window }) })), matched, ...SAID };
  }
}

function readQuery(typed: string): SearchQuery {
  if (typed.length > MAX_QUERY_LENGTH) {
    throw new CallerError('LIMIT_EXCEEDED', `the query has ${typed.length} characters: expected at most ${MAX_QUERY_LENGTH}`, { field: ['query'] });
  }
  const query = parseQuery(typed);
  if (query.words.length === 0) {
    throw new CallerError('BAD_INPUT', 'the query names nothing to look for: expected at least one word that is not excluded', { field: ['query'] });
  }
  return query;
}

/** Ways to read the query, each tried when the one before finds nothing. */
function modesOf(query: SearchQuery, prefix: boolean | null): readonly SearchMatched[] {
  if (query.lastIsWord && (prefix === true || query.star)) return ['prefix', 'similar'];
  return prefix === null && query.endsInWord ? ['words', 'prefix', 'similar'] : ['words', 'similar'];
}

function readPosition({ engine, position }: NonNullable<SearchRequest['after']>): { readonly mode: SearchMatched; readonly place: Place } {
  const read = placeOf(position);
  if (engine !== 'postgres' || read === null || !MODES.includes(read.mode)) {
    throw new CallerError('BAD_CURSOR', `after is no position of this search${engine === 'postgres' ? '' : `, but one of ${engine}`}: expected the last hit of the page before`, { field: ['after'] });
  }
  return { mode: read.mode as SearchMatched, place: read.place };
}
