import type { PoolClient } from 'pg';
import { CallerError } from '../../domain/errors.ts';
import type { Explanation } from '../../domain/feature.ts';
import type { Run } from '../../domain/run.ts';
import type { DictionaryTarget, ExplanationsLoad } from '../../ports/CatalogWriter.ts';
import { storable } from './copyTable.ts';
import { lockDictionary } from './loadDictionary.ts';
import { natural } from './pack.ts';
import { packFragments } from './packFragments.ts';
import { wordsOf } from './words.ts';
import { RANKING_SCORER, checkedExplanation, replaceExplanations, saveRun, saveWords } from './writeExplanations.ts';
import type { ExplainedCounts } from './writeExplanations.ts';

/** A single explanation does not wait longer for a load of its dictionary. */
const LOCK_TIMEOUT = '10s';
const LOCK_NOT_AVAILABLE = '55P03';

/** Inside the caller's transaction: one explainer's words on a dictionary that is there. Only feature rows that change are written. */
export async function addExplanations(client: PoolClient, target: DictionaryTarget, load: ExplanationsLoad): Promise<ExplainedCounts> {
  await lockDictionary(client, target.model, target.dictionary);
  const { id, nFeatures } = await find(client, target);
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

/** Inside the caller's transaction: one explanation of one feature. */
export async function addExplanation(client: PoolClient, target: DictionaryTarget, run: Run, explanation: Explanation): Promise<void> {
  await client.query(`SET LOCAL lock_timeout = '${LOCK_TIMEOUT}'`);
  await lockDictionary(client, target.model, target.dictionary).catch((error: unknown) => {
    if ((error as { code?: unknown }).code !== LOCK_NOT_AVAILABLE) throw error;
    throw new CallerError('BUSY', `dictionary ${target.model}/${target.dictionary} is being loaded: try again later`, { cause: error });
  });
  const { id, nFeatures } = await find(client, target);
  const { index, explainer, scores } = checkedExplanation(explanation, explanation.explainer);
  natural(index, nFeatures - 1, 'index of an explained feature');
  await saveRun(client, run);
  const key = [id, index, explainer];
  const description = storable(explanation.description.toWellFormed());
  const { rows: before } = await client.query<{ description: string }>('SELECT description FROM explanation WHERE dictionary_id = $1 AND "index" = $2 AND explainer = $3', key);
  // Other words: what was measured of the old ones does not hold for them.
  if (before[0]?.description !== description) await client.query('DELETE FROM score WHERE dictionary_id = $1 AND "index" = $2 AND explainer = $3', key);
  await client.query('DELETE FROM explanation_skip WHERE dictionary_id = $1 AND "index" = $2 AND explainer = $3', key);
  for (const score of scores) {
    await client.query(
      `INSERT INTO score (dictionary_id, "index", explainer, scorer, judge, prompt_version, value, undefined_reason, n, low, high, fragments)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
       ON CONFLICT (dictionary_id, "index", explainer, scorer, judge) DO UPDATE SET (prompt_version, value, undefined_reason, n, low, high, fragments)
         = (excluded.prompt_version, excluded.value, excluded.undefined_reason, excluded.n, excluded.low, excluded.high, excluded.fragments)`,
      [...key, score.scorer, score.judge, score.promptVersion, score.value, score.undefinedReason, score.n, score.low, score.high, packFragments(score.fragments)],
    );
  }
  await client.query(
    `INSERT INTO explanation (dictionary_id, "index", explainer, description, detail, run, model, prompt_version, fragments)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
     ON CONFLICT (dictionary_id, "index", explainer) DO UPDATE SET (description, detail, run, model, prompt_version, fragments)
       = (excluded.description, excluded.detail, excluded.run, excluded.model, excluded.prompt_version, excluded.fragments)`,
    [...key, description, JSON.stringify(explanation.detail ?? null), run.key, explanation.model, explanation.promptVersion, packFragments(explanation.fragments)],
  );
  await rank(client, key);
  await saveWords(client, new Set(wordsOf(description)));
}

/** Brings the best scores of one explanation and its feature up to date. */
async function rank(client: PoolClient, [id, index, explainer]: readonly unknown[]): Promise<void> {
  await client.query(
    `UPDATE explanation SET best_score = (SELECT max(value) FROM score WHERE dictionary_id = $1 AND "index" = $2 AND explainer = $3 AND scorer = '${RANKING_SCORER}')
     WHERE dictionary_id = $1 AND "index" = $2 AND explainer = $3`,
    [id, index, explainer],
  );
  const { rowCount } = await client.query(
    `UPDATE feature SET explained = true, best_score = (SELECT max(best_score) FROM explanation WHERE dictionary_id = $1 AND "index" = $2)
     WHERE dictionary_id = $1 AND "index" = $2`,
    [id, index],
  );
  if (rowCount === 0) throw new CallerError('NOT_FOUND', `feature ${String(index)} has no analysis to explain`);
}

async function find(client: PoolClient, { model, dictionary, weightsHash }: DictionaryTarget): Promise<{ id: number; nFeatures: number }> {
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
