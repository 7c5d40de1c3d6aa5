import type { PoolClient } from 'pg';
import { CallerError } from '../../domain/errors.ts';
import { wordsOf } from '../../domain/words.ts';
import type { BulkPerson } from '../../ports/CatalogBulk.ts';
import { storable } from './copyTable.ts';
import { natural } from './pack.ts';
import { NO_RUN } from './personExplanations.ts';
import { saveWords } from './writeExplanations.ts';

/** Rows written at once. */
const CHUNK = 500;

/**
 * Inside the caller's transaction, which holds the dictionary's lock and has written its features: what people said of them in another
 * catalog. A key of the same name may be somebody else here: their words stay.
 */
export async function restorePeople(client: PoolClient, id: number, nFeatures: number, people: AsyncIterable<BulkPerson>): Promise<void> {
  const words = new Set<string>();
  let held: BulkPerson[] = [];
  const flush = async (): Promise<void> => {
    await client.query(
      `INSERT INTO explanation (dictionary_id, "index", explainer, description, detail, run, model, prompt_version, fragments, judged_on)
       SELECT $1, p.*, '${NO_RUN}', NULL, NULL, '', '{}' FROM unnest($2::int[], $3::text[], $4::text[], $5::json[]) p
       ON CONFLICT (dictionary_id, "index", explainer) DO UPDATE SET (description, detail) = (excluded.description, excluded.detail)
         WHERE explanation.detail->>'owner' IS NOT DISTINCT FROM excluded.detail->>'owner'`,
      [id, held.map(({ index }) => index), held.map(({ explainer }) => explainer), held.map(({ description }) => storable(description)), held.map(({ owner, weightsHash }) => JSON.stringify({ owner, weightsHash }))],
    );
    const { rows } = await client.query<{ index: number }>(
      `WITH said AS (SELECT DISTINCT i FROM unnest($2::int[]) i), known AS (UPDATE feature f SET explained = true FROM said WHERE f.dictionary_id = $1 AND f."index" = said.i RETURNING f."index" AS i)
       SELECT i AS "index" FROM said EXCEPT SELECT i FROM known LIMIT 1`,
      [id, held.map(({ index }) => index)],
    );
    if (rows.length > 0) throw new CallerError('BAD_INPUT', `feature ${rows[0]!.index} was explained by a person, and is not among the features`);
    held = [];
  };
  const seen = new Set<string>();
  for await (const person of people) {
    const key = `${natural(person.index, nFeatures - 1, 'index of a feature that a person explained')} ${person.explainer}`;
    if (seen.has(key)) throw new CallerError('BAD_INPUT', `${person.explainer} explains feature ${person.index} twice`);
    seen.add(key);
    for (const word of wordsOf(person.description)) words.add(word);
    held.push(person);
    if (held.length >= CHUNK) {
      seen.clear();
      await flush();
    }
  }
  if (held.length > 0) await flush();
  await saveWords(client, words);
}
