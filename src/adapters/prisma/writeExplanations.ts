import type { PoolClient } from 'pg';
import { CallerError } from '../../domain/errors.ts';
import type { Explanation, Score } from '../../domain/feature.ts';
import type { Run } from '../../domain/run.ts';
import type { ExplanationsLoad } from '../../ports/CatalogWriter.ts';
import { CopyLane, CopyTable } from './copyTable.ts';
import { finite, natural } from './pack.ts';
import { packFragments, packJudgedOn } from './packFragments.ts';
import { wordsOf } from '../../domain/words.ts';

/** The instrument whose value ranks features, whoever the judge: values of other instruments do not compare with it. */
export const RANKING_SCORER = 'simulation-top-random';
const I32 = 0x7fff_ffff;

export interface ExplainedCounts {
  readonly explanations: number;
  readonly skipped: number;
}

/**
 * Inside the caller's transaction: replaces everything one explainer said of a dictionary (`id`, of `nFeatures`) and what that
 * comes to. The caller brings the feature rows up to date, and saves the words, which are added to `words`, at its end.
 */
export async function replaceExplanations(client: PoolClient, id: number, nFeatures: number, load: ExplanationsLoad, words: Set<string>): Promise<ExplainedCounts> {
  const { explainer, run } = load;
  if (typeof explainer !== 'string' || explainer === '') throw new CallerError('BAD_INPUT', 'explanations without the name of their explainer');
  await saveRun(client, run);
  for (const table of ['explanation', 'score', 'explanation_skip', 'explanation_summary']) {
    await client.query(`DELETE FROM "${table}" WHERE dictionary_id = $1 AND explainer = $2`, [id, explainer]);
  }
  const lane = new CopyLane(client);
  const explanations = new CopyTable(lane, 'explanation', [
    'dictionary_id', 'index', 'explainer', 'description', 'detail', 'run', 'best_score', 'model', 'prompt_version', 'fragments', 'judged_on',
  ]); // prettier-ignore
  const scores = new CopyTable(lane, 'score', [
    'dictionary_id', 'index', 'explainer', 'scorer', 'judge', 'prompt_version', 'value', 'undefined_reason', 'n', 'low', 'high', 'judged_on',
  ]); // prettier-ignore
  const skips = new CopyTable(lane, 'explanation_skip', ['dictionary_id', 'index', 'explainer', 'reason', 'run']);
  const seen = new Uint8Array(nFeatures);
  for await (const outcome of load.outcomes) {
    const skipped = outcome.kind === 'skipped';
    const index = natural(skipped ? outcome.index : outcome.explanation.index, nFeatures - 1, `index of ${skipped ? 'a skipped' : 'an explained'} feature`);
    if (seen[index] === 1) throw new CallerError('BAD_INPUT', `feature ${index} comes twice in what ${explainer} explained`);
    seen[index] = 1;
    if (skipped) {
      skips.row();
      skips.int4(id);
      skips.int4(index);
      skips.text(explainer);
      skips.text(outcome.reason);
      skips.text(run.key);
      await skips.flushIfFull();
      continue;
    }
    const explanation = checkedExplanation(outcome.explanation, explainer);
    for (const word of wordsOf(explanation.description)) words.add(word);
    explanations.row();
    explanations.int4(id);
    explanations.int4(index);
    explanations.text(explainer);
    explanations.text(explanation.description);
    explanations.text(JSON.stringify(explanation.detail ?? null));
    explanations.text(run.key);
    explanations.float8(rankingScore(explanation.scores));
    explanations.text(explanation.model);
    explanations.text(explanation.promptVersion);
    explanations.bytes(packFragments(explanation.fragments));
    const { lists, places } = packJudgedOn(explanation.scores);
    explanations.byteArrays(lists);
    for (const [i, score] of explanation.scores.entries()) writeScore(scores, id, explanation, score, places[i]!);
    await explanations.flushIfFull();
    await scores.flushIfFull();
  }
  for (const table of [explanations, scores, skips]) await table.flush();
  await lane.idle();
  await client.query(
    `INSERT INTO explanation_summary (dictionary_id, explainer, run, features, explained, skips, scores)
     SELECT $1::int, $2::text, $3::text, s.features, s.explained, s.skips, s.scores FROM explanation_summary_of($1::int, $2::text) s`,
    [id, explainer, run.key],
  );
  return { explanations: explanations.rows, skipped: skips.rows };
}

/** Highest defined value of the instrument that ranks, over its judges; null when there is none. */
function rankingScore(scores: readonly Score[]): number | null {
  let best: number | null = null;
  for (const { scorer, value } of scores) if (scorer === RANKING_SCORER && value !== null && (best === null || value > best)) best = value;
  return best;
}

/** The explanation, if it is this explainer's and its scores say what they are; refuses in words otherwise. */
export function checkedExplanation(explanation: Explanation, explainer: string): Explanation {
  const { index, scores } = explanation;
  if (explanation.explainer !== explainer) {
    throw new CallerError('BAD_INPUT', `feature ${index} is explained by ${explanation.explainer}: expected an explanation by ${explainer}`);
  }
  // Files are read without a check of their shape, and older ones name no judge and no text.
  if (!Array.isArray(explanation.fragments) || scores.some(({ judge, fragments }) => typeof judge !== 'string' || !Array.isArray(fragments))) {
    throw new CallerError('STALE_OUTPUT', `the explanation of feature ${index} by ${explainer} does not say who judged it on which text: explain again`);
  }
  for (const score of scores) {
    const what = `${score.scorer} of feature ${index} by ${explainer}`;
    if ((score.value === null) !== (score.undefinedReason !== null)) {
      throw new CallerError('BAD_INPUT', `${what}: expected either a value or the reason why there is none`);
    }
    for (const value of [score.value, score.low, score.high]) if (value !== null) finite(value, what);
    natural(score.n, I32, `n of ${what}`);
  }
  return explanation;
}

function writeScore(table: CopyTable, id: number, { index, explainer }: Explanation, score: Score, judgedOn: number): void {
  table.row();
  table.int4(id);
  table.int4(index);
  table.text(explainer);
  table.text(score.scorer);
  table.text(score.judge);
  table.text(score.promptVersion);
  table.float8(score.value);
  table.text(score.undefinedReason);
  table.int4(score.n);
  table.float8(score.low);
  table.float8(score.high);
  table.int2(judgedOn);
}

/** Last in the transaction, and in one order: others that add the same words wait until it ends. */
export async function saveWords(client: PoolClient, words: ReadonlySet<string>): Promise<void> {
  if (words.size === 0) return;
  await client.query(
    `INSERT INTO explanation_word SELECT w FROM unnest($1::text[]) w WHERE NOT EXISTS (SELECT 1 FROM explanation_word o WHERE o.word = w)
     ON CONFLICT DO NOTHING`,
    [[...words].sort()],
  );
}

export async function saveRun(client: PoolClient, run: Run): Promise<void> {
  await client.query(
    `INSERT INTO run (key, stage, params, inputs, seed, code_version, started_at, finished_at, metrics)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
     ON CONFLICT (key) DO UPDATE SET finished_at = excluded.finished_at, metrics = excluded.metrics`,
    [run.key, run.stage, JSON.stringify(run.params), JSON.stringify(run.inputs), run.seed, run.codeVersion, run.startedAt, run.finishedAt, JSON.stringify(run.metrics)],
  );
}
