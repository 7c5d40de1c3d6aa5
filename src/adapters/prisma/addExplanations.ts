import type { PoolClient } from 'pg';
import { CallerError } from '../../domain/errors.ts';
import type { DictionaryTarget, ExplanationsLoad } from '../../ports/CatalogWriter.ts';
import { lockDictionary } from './loadDictionary.ts';
import { replaceExplanations, saveWords } from './writeExplanations.ts';
import type { ExplainedCounts } from './writeExplanations.ts';

/** Inside the caller's transaction: one explainer's words on a dictionary that is there. Only feature rows that change are written. */
export async function addExplanations(client: PoolClient, target: DictionaryTarget, load: ExplanationsLoad): Promise<ExplainedCounts> {
  await lockDictionary(client, target.model, target.dictionary);
  const { id, nFeatures } = await findDictionary(client, target);
  const words = new Set<string>();
  const counts = await replaceExplanations(client, id, nFeatures, load, words);
  const { rows: strays } = await client.query<{ index: number }>(
    `SELECT e."index" FROM explanation e WHERE e.dictionary_id = $1 AND e.explainer = $2
     AND NOT EXISTS (SELECT 1 FROM feature f WHERE f.dictionary_id = $1 AND f."index" = e."index") LIMIT 1`,
    [id, load.explainer],
  );
  if (strays.length > 0) throw new CallerError('BAD_INPUT', `feature ${strays[0]!.index} has an explanation, but no analysis`);
  await client.query(
    `WITH now AS (SELECT "index", max(best_score) AS best FROM explanation WHERE dictionary_id = $1 GROUP BY 1)
     UPDATE feature f SET best_score = now.best, explained = now."index" IS NOT NULL
     FROM feature old LEFT JOIN now ON now."index" = old."index"
     WHERE f.dictionary_id = $1 AND old.dictionary_id = $1 AND old."index" = f."index"
       AND (f.best_score IS DISTINCT FROM now.best OR f.explained <> (now."index" IS NOT NULL))`,
    [id],
  );
  await saveWords(client, words);
  return counts;
}

/** The dictionary, with the weights it had when it was read; refused in words otherwise. */
export async function findDictionary(client: PoolClient, { model, dictionary, weightsHash }: DictionaryTarget): Promise<{ id: number; nFeatures: number }> {
  const { rows } = await client.query<{ id: number; nFeatures: number; hash: string }>(
    `SELECT d.id, d.n_features AS "nFeatures", d.weights_hash AS hash FROM dictionary d JOIN model m ON m.id = d.model_id WHERE m.name = $1 AND d.name = $2`,
    [model, dictionary],
  );
  const [found] = rows;
  if (found === undefined) throw new CallerError('NOT_FOUND', `the catalog has no dictionary ${model}/${dictionary}: load it before its explanations`);
  if (found.hash !== weightsHash) {
    throw new CallerError('STALE_OUTPUT', `the catalog's dictionary ${model}/${dictionary} has other weights than the one explained: load it again, or explain again`);
  }
  return found;
}
