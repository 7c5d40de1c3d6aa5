import type { ClientBase } from 'pg';
import type { SearchQuery } from '../../domain/searchQuery.ts';
import type { SearchMatched } from '../../ports/FeatureSearch.ts';
import { KEYS, sampleKeys } from './searchKeys.ts';
import { tsqueryText, withLexemes } from './tsquery.ts';

/** Words that are corrected, and what each may stand for. */
const MAX_WORDS = 16;
const CANDIDATES = 4;
/** What the beginning of a word may stand for: more would only make every match slower to rank. */
export const COMPLETIONS = 16;

const COMPILE = `SELECT to_tsquery('feature_text', $1)::text AS compiled`;

/** Parts of 1024 of all explanations in which a common word is found at once. */
const SAMPLED = 8;
/** Words looked at for those that begin so and are visible. */
const LOOKED_AT = 1000;

/**
 * SQL: whether a lexeme (tsquery) occurs in the dictionaries `ids` ($n). A common one does in a sample, and of a rare one there is little
 * to look at: a word of others that is common there alone is soon known to be none of theirs by the index on dictionaries.
 */
function occursIn(lexeme: string, ids: string): string {
  const found = (more: string): string => `EXISTS (SELECT 1 FROM explanation e WHERE e.search @@ ${lexeme} AND ARRAY[e.dictionary_id] && ${ids}::int[]${more})`;
  return `(${found(` AND ${KEYS} && '{${sampleKeys(SAMPLED).join()}}'::bigint[]`)} OR ${found('')})`;
}

const asWord = (word: string): string => `to_tsquery('feature_text', format('%L', ${word}))`;

/**
 * Lexemes of words that begin with $1 (LIKE pattern): of all of them while they are at most $2, otherwise of the most frequent
 * by the server's statistics, filled up with whatever comes first. Complete words, then stems: "closin" finds "close". `visible`: only
 * those that occur in dictionaries $3, looked at in order until there are enough (OFFSET 0 keeps the order).
 */
const beginning = (visible: boolean): string => `WITH b AS MATERIALIZED (SELECT word FROM explanation_word WHERE lower(word) LIKE $1 ORDER BY lower(word) USING ~<~ LIMIT ${visible ? LOOKED_AT : '$2 + 1'}),
  w AS MATERIALIZED (SELECT word FROM b ${visible ? `WHERE ${occursIn(asWord('b.word'), '$3')} LIMIT $2 + 1` : ''}),
  frequent AS (
    SELECT lexeme, frequency FROM (
      SELECT lexeme, frequency FROM pg_stats s,
        LATERAL unnest(s.most_common_elems::text::text[], s.most_common_elem_freqs[1:cardinality(s.most_common_elems::text::text[])]) AS c(lexeme, frequency)
      WHERE s.schemaname = current_schema() AND s.tablename = 'explanation' AND s.attname = 'search' AND lexeme LIKE $1
        AND (SELECT count(*) FROM w) > $2 ${visible ? 'ORDER BY frequency DESC, lexeme OFFSET 0' : ''}) f
    ${visible ? `WHERE ${occursIn(`format('%L', f.lexeme)::tsquery`, '$3')} LIMIT $2` : ''}),
  l AS (SELECT lexeme, frequency FROM frequent UNION ALL SELECT unnest(tsvector_to_array(to_tsvector('feature_text', word))), 0 FROM w)
  SELECT lexeme FROM l GROUP BY lexeme ORDER BY max(frequency) DESC, lexeme LIMIT $2`;

/**
 * For each word of $1 (place n) those most alike that occur; alike as pg_trgm.similarity_threshold has it, 0.3 by default. `visible`:
 * only what occurs in dictionaries $2, as above.
 */
const likeness = (visible: boolean): string => `SELECT q.n::int, ${visible ? occursIn(asWord('q.word'), '$2') : 'EXISTS (SELECT 1 FROM explanation_word k WHERE k.word = q.word)'}, c.words
  FROM unnest($1::text[]) WITH ORDINALITY AS q(word, n) CROSS JOIN LATERAL (
    SELECT array_agg(a.word) AS words FROM (
      SELECT o.word FROM (SELECT word FROM explanation_word WHERE word % q.word ORDER BY similarity(word, q.word) DESC, word OFFSET 0) o
      ${visible ? `WHERE ${occursIn(asWord('o.word'), '$2')}` : ''} LIMIT ${CANDIDATES}) a) c`;

const BEGINNING = { all: beginning(false), visible: beginning(true) } as const;
const ALIKE = { all: { name: 'search-alike', text: likeness(false) }, visible: { name: 'search-alike-visible', text: likeness(true) } } as const;

/** The query as a tsquery in text, read in one of the ways; null when no word of the catalog can satisfy it. `visible`: see SearchFilter. */
export async function compileQuery(client: ClientBase, query: SearchQuery, matched: SearchMatched, visible?: readonly number[]): Promise<string | null> {
  const choices = matched === 'similar' ? await alike(client, query.words.slice(0, MAX_WORDS), visible) : new Map<string, readonly string[]>();
  const marked = matched === 'prefix' && query.lastIsWord;
  const { rows } = await client.query<{ compiled: string }>({ name: 'search-compile', text: COMPILE, values: [tsqueryText(query, choices, marked)] });
  const { compiled } = rows[0]!;
  if (compiled === '') return null;
  if (!marked) return compiled;
  const lexemes = await beginningWith(client, query.alternatives.at(-1)!.required.at(-1)![0]!, visible);
  return lexemes.length === 0 ? null : withLexemes(compiled, lexemes);
}

async function beginningWith(client: ClientBase, word: string, visible: readonly number[] | undefined): Promise<readonly string[]> {
  // Words are letters and digits: nothing in them means anything to LIKE.
  const { rows } = await client.query<[string]>({ text: visible === undefined ? BEGINNING.all : BEGINNING.visible, values: [`${word}%`, COMPLETIONS, ...(visible === undefined ? [] : [visible])], rowMode: 'array' });
  return rows.map(([lexeme]) => lexeme);
}

/** Words that occur stand for themselves, others for those alike, too; if all occur, none may be the one that was meant. */
async function alike(client: ClientBase, words: readonly string[], visible: readonly number[] | undefined): Promise<ReadonlyMap<string, readonly string[]>> {
  const { rows } = await client.query<[number, boolean, string[] | null]>({ ...(visible === undefined ? ALIKE.all : ALIKE.visible), values: [words, ...(visible === undefined ? [] : [visible])], rowMode: 'array' });
  const allOccur = rows.every(([, occurs]) => occurs);
  return new Map(
    rows.map(([n, occurs, others]) => {
      const own = words[n - 1]!;
      return [own, occurs && !allOccur ? [own] : [...new Set([own, ...(others ?? [])])]];
    }),
  );
}
