import type { Pool } from 'pg';
import type { SearchDocument } from '../../ports/SearchIndex.ts';
import { databaseError } from './transaction.ts';

type Row = [number, number, string, string, string, number, string, number | null];

/**
 * $1 dictionary or null, $2 indices or null, $3–$5 the last row before or nulls, $6 rows. Each batch is a statement of its own:
 * no long transaction holds up the clearing away of old rows, and what changes meanwhile is in the outbox.
 */
const documents = (condition: string): string => `SELECT e.dictionary_id, e."index", e.explainer, m.name, d.name, d.layer, e.description, e.best_score
  FROM (SELECT * FROM explanation e WHERE ${condition} AND EXISTS (SELECT 1 FROM dictionary o WHERE o.id = e.dictionary_id) ORDER BY e.dictionary_id, e."index", e.explainer LIMIT $6::int) e
  JOIN dictionary d ON d.id = e.dictionary_id JOIN model m ON m.id = d.model_id
  ORDER BY e.dictionary_id, e."index", e.explainer`;
// One statement a case: each is one range of the primary key.
const AFTER = `(e.dictionary_id, e."index", e.explainer) > ($3::int, $4::int, $5::text)`;
const OF_ALL = documents(`${AFTER} AND ($1::int IS NULL AND $2::int[] IS NULL)`);
const OF_DICTIONARY = documents(`e.dictionary_id = $1::int AND ${AFTER} AND $2::int[] IS NULL`);
const OF_FEATURES = documents(`e.dictionary_id = $1::int AND e."index" = ANY($2::int[]) AND ${AFTER}`);

/** Explanations with what their dictionaries say, in the order of their keys. Those of a dictionary that is gone are left out. */
export async function* readDocuments(pool: Pool, dictionaryId: number | null, indices: readonly number[] | null, batch: number): AsyncIterable<readonly SearchDocument[]> {
  const text = dictionaryId === null ? OF_ALL : indices === null ? OF_DICTIONARY : OF_FEATURES;
  let last: readonly [number, number, string] = [-1, -1, ''];
  for (;;) {
    const rows: readonly Row[] = await read(pool, text, [dictionaryId, indices === null ? null : [...indices], ...last, batch]);
    const found = rows.map(([dictionary, index, explainer, model, name, layer, description, bestScore]): SearchDocument => ({ dictionaryId: dictionary, index, explainer, model, dictionary: name, layer, description, bestScore }));
    if (found.length > 0) yield found;
    const end = found.at(-1);
    if (end === undefined || found.length < batch) return;
    last = [end.dictionaryId, end.index, end.explainer];
  }
}

async function read(pool: Pool, text: string, values: readonly unknown[]): Promise<readonly Row[]> {
  try {
    return (await pool.query<Row>({ text, values: [...values], rowMode: 'array' })).rows;
  } catch (error) {
    throw databaseError(error);
  }
}

export async function countDocuments(pool: Pool): Promise<ReadonlyMap<number, number>> {
  try {
    const { rows } = await pool.query<[number, number]>({
      text: 'SELECT d.id, count(*)::int FROM explanation e JOIN dictionary d ON d.id = e.dictionary_id GROUP BY 1 ORDER BY 1',
      rowMode: 'array',
    });
    return new Map(rows);
  } catch (error) {
    throw databaseError(error);
  }
}
