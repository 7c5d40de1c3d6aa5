import type { ClientBase } from 'pg';
import type { SearchQuery } from '../../domain/searchQuery.ts';
import type { SearchMatched } from '../../ports/FeatureSearch.ts';
import { tsqueryText, withLexemes } from './tsquery.ts';

/** Words that are corrected, and what each may stand for. */
const MAX_WORDS = 16;
const CANDIDATES = 4;
/** What the beginning of a word may stand for: more would only make every match slower to rank. */
export const COMPLETIONS = 16;

const COMPILE = `SELECT to_tsquery('feature_text', $1)::text AS compiled`;

/**
 * Lexemes of words that begin with $1 (LIKE pattern): of all of them while they are at most $2, otherwise of the most frequent
 * by the server's statistics, filled up with whatever comes first. Complete words, then stems: "closin" finds "close".
 */
const BEGINNING = `WITH w AS MATERIALIZED (SELECT word FROM explanation_word WHERE lower(word) LIKE $1 ORDER BY lower(word) USING ~<~ LIMIT $2 + 1),
  frequent AS (
    SELECT lexeme, frequency FROM pg_stats s,
      LATERAL unnest(s.most_common_elems::text::text[], s.most_common_elem_freqs[1:cardinality(s.most_common_elems::text::text[])]) AS c(lexeme, frequency)
    WHERE s.schemaname = current_schema() AND s.tablename = 'explanation' AND s.attname = 'search' AND lexeme LIKE $1
      AND (SELECT count(*) FROM w) > $2),
  l AS (SELECT lexeme, frequency FROM frequent UNION ALL SELECT unnest(tsvector_to_array(to_tsvector('feature_text', word))), 0 FROM w)
  SELECT lexeme FROM l GROUP BY lexeme ORDER BY max(frequency) DESC, lexeme LIMIT $2`;

/** For each word of $1 (place n) those most alike that occur; alike as pg_trgm.similarity_threshold has it, 0.3 by default. */
const ALIKE = `SELECT q.n::int, EXISTS (SELECT 1 FROM explanation_word k WHERE k.word = q.word), c.words
  FROM unnest($1::text[]) WITH ORDINALITY AS q(word, n) CROSS JOIN LATERAL (
    SELECT array_agg(a.word) AS words FROM (
      SELECT o.word FROM explanation_word o WHERE o.word % q.word ORDER BY similarity(o.word, q.word) DESC, o.word LIMIT ${CANDIDATES}) a) c`;

/** The query as a tsquery in text, read in one of the ways; null when no word of the catalog can satisfy it. */
export async function compileQuery(client: ClientBase, query: SearchQuery, matched: SearchMatched): Promise<string | null> {
  const choices = matched === 'similar' ? await alike(client, query.words.slice(0, MAX_WORDS)) : new Map<string, readonly string[]>();
  const marked = matched === 'prefix' && query.lastIsWord;
  const { rows } = await client.query<{ compiled: string }>({ name: 'search-compile', text: COMPILE, values: [tsqueryText(query, choices, marked)] });
  const { compiled } = rows[0]!;
  if (compiled === '') return null;
  if (!marked) return compiled;
  const lexemes = await beginningWith(client, query.alternatives.at(-1)!.required.at(-1)![0]!);
  return lexemes.length === 0 ? null : withLexemes(compiled, lexemes);
}

async function beginningWith(client: ClientBase, word: string): Promise<readonly string[]> {
  // Words are letters and digits: nothing in them means anything to LIKE.
  const { rows } = await client.query<[string]>({ text: BEGINNING, values: [`${word}%`, COMPLETIONS], rowMode: 'array' });
  return rows.map(([lexeme]) => lexeme);
}

/** Words that occur stand for themselves, others for those alike, too; if all occur, none may be the one that was meant. */
async function alike(client: ClientBase, words: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>> {
  const { rows } = await client.query<[number, boolean, string[] | null]>({ name: 'search-alike', text: ALIKE, values: [words], rowMode: 'array' });
  const allOccur = rows.every(([, occurs]) => occurs);
  return new Map(
    rows.map(([n, occurs, others]) => {
      const own = words[n - 1]!;
      return [own, occurs && !allOccur ? [own] : [...new Set([own, ...(others ?? [])])]];
    }),
  );
}
