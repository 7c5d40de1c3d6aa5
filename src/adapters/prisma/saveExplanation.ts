import type { PoolClient } from 'pg';
import { CallerError } from '../../domain/errors.ts';
import type { Explanation, Score } from '../../domain/feature.ts';
import type { Run } from '../../domain/run.ts';
import type { DictionaryTarget, FeatureSkip } from '../../ports/CatalogWriter.ts';
import { findDictionary } from './addExplanations.ts';
import { storable } from './copyTable.ts';
import { lockDictionary } from './loadDictionary.ts';
import { natural } from './pack.ts';
import { packFragments, packJudgedOn, sharedLists } from './packFragments.ts';
import { wordsOf } from '../../domain/words.ts';
import { RANKING_SCORER, checkedExplanation, saveRun, saveWords } from './writeExplanations.ts';

/** A single feature does not wait longer for a load of its dictionary. */
const LOCK_TIMEOUT = '10s';
const LOCK_NOT_AVAILABLE = '55P03';

type Key = readonly [dictionaryId: number, index: number, explainer: string];
const OF_KEY = 'dictionary_id = $1 AND "index" = $2 AND explainer = $3';

/** A score with what it was measured on, packed. */
type PackedScore = Omit<Score, 'fragments'> & { readonly judgedOn: Buffer };

/** Inside the caller's transaction: one explanation of one feature. */
export async function saveExplanation(client: PoolClient, target: DictionaryTarget, run: Run, explanation: Explanation): Promise<void> {
  const key = await lockedKey(client, target, explanation);
  const { scores } = checkedExplanation(explanation, explanation.explainer);
  await saveRun(client, run);
  const description = storable(explanation.description.toWellFormed());
  const { lists, places } = packJudgedOn(scores);
  const measured = scores.map((score, i): PackedScore => ({ ...score, judgedOn: lists[places[i]!]! }));
  const judgedOn = await replaceScores(client, key, [...(await keptScores(client, key, description, scores)), ...measured]);
  await client.query(`DELETE FROM explanation_skip WHERE ${OF_KEY}`, [...key]);
  await client.query(
    `INSERT INTO explanation (dictionary_id, "index", explainer, description, detail, run, model, prompt_version, fragments, judged_on)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
     ON CONFLICT (dictionary_id, "index", explainer) DO UPDATE SET (description, detail, run, model, prompt_version, fragments, judged_on)
       = (excluded.description, excluded.detail, excluded.run, excluded.model, excluded.prompt_version, excluded.fragments, excluded.judged_on)`,
    [...key, description, JSON.stringify(explanation.detail ?? null), run.key, explanation.model, explanation.promptVersion, packFragments(explanation.fragments), judgedOn],
  );
  await rank(client, key);
  await saveWords(client, new Set(wordsOf(description)));
}

/** Inside the caller's transaction: why one feature was left out; what the same explainer said of it before stays instead. */
export async function saveSkip(client: PoolClient, target: DictionaryTarget, run: Run, skip: FeatureSkip): Promise<void> {
  const key = await lockedKey(client, target, skip);
  const { rowCount } = await client.query(
    `INSERT INTO explanation_skip (dictionary_id, "index", explainer, reason, run)
     SELECT dictionary_id, "index", $3::text, $4::text, $5::text FROM feature WHERE dictionary_id = $1 AND "index" = $2
       AND NOT EXISTS (SELECT 1 FROM explanation WHERE ${OF_KEY})
     ON CONFLICT (dictionary_id, "index", explainer) DO UPDATE SET (reason, run) = (excluded.reason, excluded.run)`,
    [...key, storable(skip.reason), run.key],
  );
  if (rowCount === 1) await saveRun(client, run);
}

/** Waits for its turn with the dictionary, but not for a load of it. */
async function lockedKey(client: PoolClient, target: DictionaryTarget, { index, explainer }: { readonly index: number; readonly explainer: string }): Promise<Key> {
  await client.query(`SET LOCAL lock_timeout = '${LOCK_TIMEOUT}'`);
  await lockDictionary(client, target.model, target.dictionary).catch((error: unknown) => {
    if ((error as { code?: unknown }).code !== LOCK_NOT_AVAILABLE) throw error;
    throw new CallerError('BUSY', `dictionary ${target.model}/${target.dictionary} is being loaded: try again later`, { cause: error });
  });
  const { id, nFeatures } = await findDictionary(client, target);
  return [id, natural(index, nFeatures - 1, 'index of an explained feature'), explainer];
}

/** Scores there are, by other instruments and judges than those of `fresh`; none where the words are others: they were measured of the old. */
async function keptScores(client: PoolClient, key: Key, description: string, fresh: readonly Score[]): Promise<PackedScore[]> {
  const { rows } = await client.query<PackedScore>(
    `SELECT s.scorer, s.judge, s.prompt_version AS "promptVersion", s.value, s.undefined_reason AS "undefinedReason", s.n, s.low, s.high,
       e.judged_on[s.judged_on + 1] AS "judgedOn"
     FROM score s JOIN explanation e USING (dictionary_id, "index", explainer) WHERE ${OF_KEY} AND e.description = $4`,
    [...key, description],
  );
  return rows.filter((old) => !fresh.some(({ scorer, judge }) => scorer === old.scorer && judge === old.judge));
}

/** Writes the explanation's scores; returns the lists of fragments they point to. */
async function replaceScores(client: PoolClient, key: Key, scores: readonly PackedScore[]): Promise<readonly Buffer[]> {
  const { lists, places } = sharedLists(scores.map(({ judgedOn }) => judgedOn));
  await client.query(`DELETE FROM score WHERE ${OF_KEY}`, [...key]);
  for (const [i, { scorer, judge, promptVersion, value, undefinedReason, n, low, high }] of scores.entries()) {
    await client.query(
      `INSERT INTO score (dictionary_id, "index", explainer, scorer, judge, prompt_version, value, undefined_reason, n, low, high, judged_on)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
      [...key, scorer, judge, promptVersion, value, undefinedReason, n, low, high, places[i]],
    );
  }
  return lists;
}

/** Brings the best scores of one explanation and its feature up to date. */
async function rank(client: PoolClient, key: Key): Promise<void> {
  await client.query(`UPDATE explanation SET best_score = (SELECT max(value) FROM score WHERE ${OF_KEY} AND scorer = '${RANKING_SCORER}') WHERE ${OF_KEY}`, [...key]);
  const [id, index] = key;
  const { rowCount } = await client.query(
    `UPDATE feature SET explained = true, best_score = (SELECT max(best_score) FROM explanation WHERE dictionary_id = $1 AND "index" = $2)
     WHERE dictionary_id = $1 AND "index" = $2`,
    [id, index],
  );
  if (rowCount === 0) throw new CallerError('NOT_FOUND', `feature ${index} has no analysis to explain`);
}
