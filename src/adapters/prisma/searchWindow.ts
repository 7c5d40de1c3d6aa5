import type { ClientBase } from 'pg';
import type { SearchFilter, SearchHit } from '../../ports/FeatureSearch.ts';
import { KEYS, WHOLE, sampleKeys, windowKeys } from './searchKeys.ts';
import type { Window } from './searchKeys.ts';

/** Conditions of a search, and whether those on dictionaries and explainers narrow enough to be worth the index. */
export interface Sought {
  /** tsquery as text. */
  readonly query: string;
  readonly filter: Pick<SearchFilter, 'dictionaryIds' | 'explainers' | 'minScore'>;
  readonly narrow: boolean;
}

export type RankedHit = Omit<SearchHit, 'position'>;
/** The last hit of the page before, within the window. */
export type HitKey = Pick<SearchHit, 'relevance' | 'dictionaryId' | 'index' | 'explainer'>;

/** A well-explained feature counts up to twice as much as one whose explanation predicts nothing. */
const WEIGHT = `(0.5 + 0.5 * greatest(coalesce(m.best_score, 0), 0))`;
const KEY = (row: string): string => `${row}.relevance DESC, ${row}.dictionary_id, ${row}."index", ${row}.explainer`;

/** SQL conditions on `explanation e`, and their values from $1 on. */
export class Conditions {
  readonly values: unknown[] = [];
  readonly #all: string[] = [];

  constructor({ query, filter, narrow }: Sought) {
    this.#all.push(`e.search @@ ${this.value(query, 'tsquery')}`);
    const { dictionaryIds, explainers, minScore } = filter;
    // An index on arrays of one takes any number of values in one pass; `+ 0` and `|| ''` keep a wide condition out of any index.
    if (dictionaryIds !== null) this.#all.push(narrow ? `ARRAY[e.dictionary_id] && ${this.value(dictionaryIds, 'int[]')}` : `e.dictionary_id + 0 = ANY(${this.value(dictionaryIds, 'int[]')})`);
    if (explainers !== null) this.#all.push(narrow ? `ARRAY[e.explainer] && ${this.value(explainers, 'text[]')}` : `e.explainer || '' = ANY(${this.value(explainers, 'text[]')})`);
    if (minScore !== null) this.#all.push(`e.best_score >= ${this.value(minScore, 'float8')}`);
  }

  value(value: unknown, type: string): string {
    return `$${this.values.push(value)}::${type}`;
  }

  within(window: Window): this {
    if (window.from !== WHOLE.from || window.to !== WHOLE.to) this.#all.push(`${KEYS} && ${this.value(windowKeys(window), 'bigint[]')}`);
    return this;
  }

  /** About `parts` of 1024 of all explanations, always the same ones. */
  sample(parts: number): this {
    this.#all.push(`${KEYS} && ${this.value(sampleKeys(parts), 'bigint[]')}`);
    return this;
  }

  toString(): string {
    return this.#all.join(' AND ');
  }
}

export interface Ranked {
  readonly hits: readonly RankedHit[];
  /** Matches in the window, `cap` + 1 when there are more than that. */
  readonly matches: number;
}

type Row = [number, number | null, number, string, string, number, string];

/**
 * The `first` best matches of a window after `after`, all of them ranked; when there are more than `cap`, no hits. Planned anew each
 * time: which way is fast depends on the words. Marks are put into escaped text: safe whatever a description holds.
 */
export async function rankWindow(client: ClientBase, sought: Sought, window: Window, first: number, after: HitKey | null, cap: number | null): Promise<Ranked> {
  const where = new Conditions(sought).within(window);
  const query = '$1::tsquery';
  const limit = cap === null ? '' : `LIMIT ${where.value(cap + 1, 'int')}`;
  const [relevance, dictionaryId, index, explainer] = [where.value(after?.relevance ?? null, 'float8'), where.value(after?.dictionaryId ?? null, 'int'), where.value(after?.index ?? null, 'int'), where.value(after?.explainer ?? null, 'text')];
  const text = `WITH m AS MATERIALIZED (SELECT e.dictionary_id, e."index", e.explainer, e.description, e.best_score, e.search FROM explanation e WHERE ${where} ${limit}),
    h AS (SELECT m.dictionary_id, m."index", m.explainer, m.description, (ts_rank(m.search, ${query}, 1) * ${WEIGHT})::float8 AS relevance FROM m
      ${cap === null ? '' : `WHERE (SELECT count(*) FROM m) <= ${cap}`}),
    page AS MATERIALIZED (SELECT h.* FROM h
      WHERE ${relevance} IS NULL OR (-h.relevance, h.dictionary_id, h."index", h.explainer) > (-${relevance}, ${dictionaryId}, ${index}, ${explainer})
      ORDER BY ${KEY('h')} LIMIT ${where.value(first, 'int')})
    SELECT n.matches, p.dictionary_id, p."index", p.explainer, p.description, p.relevance,
      ts_headline('feature_text', replace(replace(replace(p.description, '&', '&amp;'), '<', '&lt;'), '>', '&gt;'), ${query}, 'HighlightAll=true, StartSel=<mark>, StopSel=</mark>')
    FROM (SELECT count(*)::int AS matches FROM m) n LEFT JOIN page p ON true ORDER BY ${KEY('p')}`;
  const { rows } = await client.query<Row>({ text, values: where.values, rowMode: 'array' });
  return { matches: rows[0]![0], hits: rows.flatMap(([, ...hit]) => (hit[0] === null ? [] : [hitOf(hit as HitCells)])) };
}

type HitCells = [number, number, string, string, number, string];

function hitOf([dictionaryId, index, explainer, description, relevance, headline]: HitCells): RankedHit {
  const escaped = description.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  // A parser that left something out would change the text: then better no marks.
  const highlight = headline.replaceAll(/<\/?mark>/g, '') === escaped ? headline : escaped;
  return { dictionaryId, index, explainer, relevance, highlight };
}
