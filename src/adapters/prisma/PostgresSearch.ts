import type { Pool } from 'pg';
import { CallerError } from '../../domain/errors.ts';
import type { FeatureSearch, SearchHit, SearchPage, SearchRequest } from '../../ports/FeatureSearch.ts';
import { storable } from './copyTable.ts';
import { escapeHtml, markSimilar } from './highlight.ts';
import { databaseError, transaction } from './transaction.ts';

const MAX_QUERY_LENGTH = 1000;
/** -word or -"some words", as websearch_to_tsquery takes them. */
const EXCLUDED = /(?<!\S)-(?:"[^"]*"?|\S+)/gu;
/** Least word similarity (0 to 1, pg_trgm) of what is found by spelling: one or two wrong letters in a word of eight. */
const SIMILARITY = 0.4;

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
 * $1 the query, $9 whether its last word may be the beginning of one. The query's own syntax is PostgreSQL's
 * websearch_to_tsquery. Marks are put into escaped text, so that what is returned is safe whatever a description holds.
 */
const WORDS = `WITH q AS (
    SELECT CASE WHEN $9::boolean AND right(w::text, 1) = '''' THEN w || (w::text || ':*')::tsquery ELSE w END AS query
    FROM websearch_to_tsquery('feature_text', $1) w
    -- 'T' = nothing but exclusions, which only a scan of everything could answer.
    WHERE querytree(w) NOT IN ('', 'T')
  ), h AS (
    SELECT e.dictionary_id, e."index", e.explainer, e.description, (ts_rank(e.search, q.query, 1) * ${WEIGHT})::float8 AS relevance
    FROM q, explanation e WHERE e.search @@ q.query AND ${FILTERS}
  ), page AS MATERIALIZED (SELECT * FROM h WHERE ${AFTER} ${PAGE})
  SELECT h.dictionary_id, h."index", h.explainer, h.description, h.relevance,
    ts_headline('feature_text', replace(replace(replace(h.description, '&', '&amp;'), '<', '&lt;'), '>', '&gt;'), q.query,
      'HighlightAll=true, StartSel=<mark>, StopSel=</mark>') AS headline
  FROM page h, q ${PAGE}`;

/** $1 what to find, $9 what must not be there (as the query's -words), or null. */
const SIMILAR = `WITH h AS (
    SELECT e.dictionary_id, e."index", e.explainer, e.description, (word_similarity($1, e.description) * ${WEIGHT})::float8 AS relevance
    FROM explanation e WHERE $1 <% e.description AND ${FILTERS}
      AND ($9::text IS NULL OR e.search @@ websearch_to_tsquery('feature_text', $9))
  )
  SELECT h.dictionary_id, h."index", h.explainer, h.description, h.relevance, NULL AS headline FROM h WHERE ${AFTER} ${PAGE}`;

type Row = [number, number, string, string, number, string | null];

/** Full-text search in PostgreSQL; where no word matches, search by similar spelling. Both through GIN indices. */
export class PostgresSearch implements FeatureSearch {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  async search(request: SearchRequest): Promise<SearchPage> {
    const query = storable(request.query).trim();
    if (query.length > MAX_QUERY_LENGTH) {
      throw new CallerError('LIMIT_EXCEEDED', `the query has ${query.length} characters: expected at most ${MAX_QUERY_LENGTH}`, { field: ['query'] });
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

  async #byWords(request: SearchRequest, query: string): Promise<SearchPage> {
    const { rows } = await this.#pool.query<Row>({ name: 'search-words', text: WORDS, values: [...parameters(request, query), endsInWord(request.query)], rowMode: 'array' });
    const mark = (row: Row): string => {
      const escaped = escapeHtml(row[3]);
      const headline = row[5] ?? escaped;
      // A parser that left something out would change the text: then better no marks.
      return headline.replaceAll(/<\/?mark>/g, '') === escaped ? headline : escaped;
    };
    return { ...toPage(rows, request.first, mark), matched: 'words' };
  }

  async #bySpelling(request: SearchRequest, query: string): Promise<SearchPage> {
    const excluded = query.match(EXCLUDED)?.join(' ') ?? null;
    const wanted = query.replaceAll(EXCLUDED, ' ').replaceAll('"', ' ').trim();
    if (!/[\p{L}\p{N}]/u.test(wanted)) {
      throw new CallerError('BAD_INPUT', 'the query names nothing to look for: expected at least one word that is not excluded', { field: ['query'] });
    }
    return transaction(this.#pool, async (client) => {
      await client.query(`SELECT set_config('pg_trgm.word_similarity_threshold', $1, true)`, [String(SIMILARITY)]);
      const { rows } = await client.query<Row>({ name: 'search-similar', text: SIMILAR, values: [...parameters(request, wanted), excluded], rowMode: 'array' });
      return { ...toPage(rows, request.first, (row) => markSimilar(row[3], wanted)), matched: 'similar' };
    });
  }
}

function parameters({ dictionaryIds, minScore, first, after }: SearchRequest, query: string): unknown[] {
  return [query, dictionaryIds, minScore, first + 1, after?.relevance ?? null, after?.dictionaryId ?? null, after?.index ?? null, after?.explainer ?? null];
}

function toPage(rows: readonly Row[], first: number, mark: (row: Row) => string): { hits: SearchHit[]; hasNext: boolean } {
  const hits = rows.slice(0, first).map((row) => {
    const [dictionaryId, index, explainer, , relevance] = row;
    return { dictionaryId, index, explainer, relevance, highlight: mark(row) };
  });
  return { hits, hasNext: rows.length > first };
}

/** Whether the query ends in a plain word, which someone may still be typing: not in quotes, not excluded, no space after. */
function endsInWord(query: string): boolean {
  const last = /(?:^|\s)(\S+)$/u.exec(query)?.[1];
  return last !== undefined && !last.startsWith('-') && /[\p{L}\p{N}]$/u.test(last) && (query.split('"').length - 1) % 2 === 0;
}
