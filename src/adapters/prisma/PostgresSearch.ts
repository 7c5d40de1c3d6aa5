import type { Pool } from 'pg';
import { CallerError } from '../../domain/errors.ts';
import type { FeatureSearch, SearchFacets, SearchHit, SearchPage, SearchRequest } from '../../ports/FeatureSearch.ts';
import { parseQuery } from './searchQuery.ts';
import type { SearchQuery } from './searchQuery.ts';
import { databaseError } from './transaction.ts';

const MAX_QUERY_LENGTH = 1000;
/** Words of a query that are corrected, and what each may stand for. */
const MAX_WORDS = 16;
const CANDIDATES = 4;

/**
 * Filters and cursor, shared by both ways of searching. $2 dictionaries or null, $3 least score or null, $4 rows,
 * $5–$8 the cursor (relevance, dictionary, index, explainer) or nulls.
 */
const FILTERS = `($2::int[] IS NULL OR e.dictionary_id = ANY($2::int[])) AND ($3::float8 IS NULL OR e.best_score >= $3::float8)`;
const AFTER = `$5::float8 IS NULL OR (-h.relevance, h.dictionary_id, h."index", h.explainer) > (-$5::float8, $6::int, $7::int, $8::text)`;
/** A well-explained feature counts up to twice as much as one whose explanation predicts nothing. */
const WEIGHT = `(0.5 + 0.5 * greatest(coalesce(e.best_score, 0), 0))`;
const PAGE = `ORDER BY -h.relevance, h.dictionary_id, h."index", h.explainer LIMIT $4::int`;

/**
 * One page of what `query` (SQL for a tsquery, `q.query`) finds. Marks are put into escaped text, so that what is
 * returned is safe whatever a description holds.
 */
const pageOf = (query: string): string => `WITH q AS (${query}), h AS (
    SELECT e.dictionary_id, e."index", e.explainer, e.description, (ts_rank(e.search, q.query, 1) * ${WEIGHT})::float8 AS relevance
    FROM q, explanation e WHERE e.search @@ q.query AND ${FILTERS}
  ), page AS MATERIALIZED (SELECT * FROM h WHERE ${AFTER} ${PAGE})
  SELECT h.dictionary_id, h."index", h.explainer, h.description, h.relevance,
    ts_headline('feature_text', replace(replace(replace(h.description, '&', '&amp;'), '<', '&lt;'), '>', '&gt;'), q.query,
      'HighlightAll=true, StartSel=<mark>, StopSel=</mark>') AS headline
  FROM page h, q ${PAGE}`;

/** $1 the query in the syntax of websearch_to_tsquery, $9 whether its last word may be the beginning of one. */
const WORDS = pageOf(`SELECT CASE WHEN $9::boolean AND right(w::text, 1) = '''' THEN w || (w::text || ':*')::tsquery ELSE w END AS query
    FROM websearch_to_tsquery('feature_text', $1) w
    -- 'T' = nothing but exclusions, which only a scan of everything could answer.
    WHERE querytree(w) NOT IN ('', 'T')`);

/** $1 a query in the syntax of to_tsquery, $9 exclusions in that of websearch_to_tsquery, or ''. */
const CORRECTED = pageOf(`SELECT to_tsquery('feature_text', $1) && websearch_to_tsquery('feature_text', $9) AS query`);

/** For each word of $1 (place n) those most alike that occur; alike as pg_trgm.similarity_threshold has it, 0.3 by default. */
const ALIKE = `SELECT q.n::int, c.word FROM unnest($1::text[]) WITH ORDINALITY AS q(word, n)
  CROSS JOIN LATERAL (SELECT o.word FROM explanation_word o WHERE o.word % q.word ORDER BY similarity(o.word, q.word) DESC, o.word LIMIT ${CANDIDATES}) c
  ORDER BY 1`;

const SAID = { order: 'relevance', total: null, engine: 'postgres', fallback: null } as const;

type Row = [number, number, string, string, number, string];

/** Full-text search in PostgreSQL; where nothing matches, the same with each word corrected to those alike that occur. */
export class PostgresSearch implements FeatureSearch {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  async search(request: SearchRequest): Promise<SearchPage> {
    if (request.query.length > MAX_QUERY_LENGTH) {
      throw new CallerError('LIMIT_EXCEEDED', `the query has ${request.query.length} characters: expected at most ${MAX_QUERY_LENGTH}`, { field: ['query'] });
    }
    const query = parseQuery(request.query);
    if (query.words.length === 0) {
      throw new CallerError('BAD_INPUT', 'the query names nothing to look for: expected at least one word that is not excluded', { field: ['query'] });
    }
    try {
      const page = await this.#byWords(request, query);
      if (page.hits.length > 0) return page;
      // Past the last page of words: words match, only no more of them. Otherwise no word matches anything.
      if (request.after !== null && (await this.#byWords({ ...request, after: null, first: 1 }, query)).hits.length > 0) return page;
      return await this.#bySpelling(request, query);
    } catch (error) {
      throw databaseError(error);
    }
  }

  async facets(): Promise<SearchFacets> {
    return await Promise.resolve({ dictionaries: [], explainers: [], exact: false, engine: 'postgres' });
  }

  async #byWords(request: SearchRequest, query: SearchQuery): Promise<SearchPage> {
    return { ...(await this.#page('search-words', WORDS, request, query.text, query.endsInWord)), matched: 'words', ...SAID };
  }

  async #bySpelling(request: SearchRequest, query: SearchQuery): Promise<SearchPage> {
    const words = query.words.slice(0, MAX_WORDS);
    const { rows } = await this.#pool.query<[number, string]>({ name: 'search-alike', text: ALIKE, values: [words], rowMode: 'array' });
    const candidates = words.map((_, i) => rows.filter(([n]) => n === i + 1).map(([, word]) => `'${word}'`));
    if (candidates.some((alike) => alike.length === 0)) return { hits: [], hasNext: false, matched: 'similar', ...SAID };
    const corrected = candidates.map((alike) => `(${alike.join(' | ')})`).join(' & ');
    return { ...(await this.#page('search-corrected', CORRECTED, request, corrected, query.excluded)), matched: 'similar', ...SAID };
  }

  async #page(name: string, text: string, request: SearchRequest, query: string, ninth: unknown): Promise<{ hits: SearchHit[]; hasNext: boolean }> {
    const { dictionaryIds, minScore, first } = request;
    const after = request.after?.position ?? [];
    const values = [query, dictionaryIds, minScore, first + 1, after[0] ?? null, after[1] ?? null, after[2] ?? null, after[3] ?? null, ninth];
    const { rows } = await this.#pool.query<Row>({ name, text, values, rowMode: 'array' });
    const hits = rows.slice(0, first).map(([dictionaryId, index, explainer, description, relevance, headline]) => {
      const escaped = escapeHtml(description);
      // A parser that left something out would change the text: then better no marks.
      const highlight = headline.replaceAll(/<\/?mark>/g, '') === escaped ? headline : escaped;
      return { dictionaryId, index, explainer, relevance, highlight, position: [relevance, dictionaryId, index, explainer] };
    });
    return { hits, hasNext: rows.length > first };
  }
}

/** Text safe inside an HTML element; the SQL above does the same. */
function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
