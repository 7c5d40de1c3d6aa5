import type { PoolClient } from 'pg';
import { CallerError } from '../../domain/errors.ts';
import type { ExemplarKind, Explanation, FeatureAnalysis } from '../../domain/feature.ts';
import { parseHookPoint } from '../../domain/hookPoint.ts';
import type { Run } from '../../domain/run.ts';
import type { DictionaryLoad } from '../../ports/CatalogWriter.ts';
import { CopyLane, CopyTable } from './copyTable.ts';
import { finite, kindCode, natural, packHistogram, packLogits, packNeighbours, packWindows } from './pack.ts';
import { wordsOf } from './words.ts';

/** The scorer whose value ranks features. */
const RANKING_SCORER = 'simulation-top-random';
const KINDS: readonly ExemplarKind[] = ['top', 'quantile', 'random'];
const I32 = 0x7fff_ffff;

/** What the explanations say of each feature; explanations are loaded first, so that each feature's row is written once. */
class Outcomes {
  readonly score: Float64Array;
  readonly explained: Uint8Array;
  readonly skipped = new Map<number, string>();
  readonly words = new Set<string>();

  constructor(nFeatures: number) {
    this.score = new Float64Array(nFeatures).fill(Number.NaN);
    this.explained = new Uint8Array(nFeatures);
  }
}

export interface Counts {
  readonly features: number;
  readonly exemplars: number;
  readonly explanations: number;
}

/** Inside the caller's transaction: replaces the dictionary's row (keeping its id) and all rows below it. */
export async function loadDictionary(client: PoolClient, load: DictionaryLoad): Promise<Counts> {
  const { config } = load;
  const name = `${config.model}/${config.name}`;
  // Two loads of one dictionary take turns; readers are not held up.
  await client.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`load ${name}`]);
  const runs = [load.runs.train, load.runs.analyse, load.runs.explain].filter((run) => run !== null);
  for (const run of runs) await saveRun(client, run);
  const id = await saveDictionary(client, load);
  for (const table of ['feature', 'exemplar', 'explanation', 'score']) {
    await client.query(`DELETE FROM "${table}" WHERE dictionary_id = $1`, [id]);
  }
  const outcomes = new Outcomes(config.nFeatures);
  const lane = new CopyLane(client);
  const explanations = await loadExplanations(lane, id, load, outcomes);
  const { features, exemplars } = await loadFeatures(lane, id, load, outcomes);
  await lane.idle();
  await saveWords(client, outcomes.words);
  return { features, exemplars, explanations };
}

/** Last in the transaction, and in one order: loads of other dictionaries that add the same words wait until it ends. */
async function saveWords(client: PoolClient, words: ReadonlySet<string>): Promise<void> {
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

async function saveDictionary(client: PoolClient, { config, quality, location, tokensAnalysed, runs }: DictionaryLoad): Promise<number> {
  const { rows: models } = await client.query<{ id: number; layers: number }>('SELECT id, layers FROM model WHERE name = $1', [config.model]);
  const model = models[0];
  if (model === undefined) throw new CallerError('NOT_FOUND', `the catalog has no model "${config.model}": load the model before its dictionaries`);
  const { layer } = parseHookPoint(config.hookPoint, model.layers);
  if (config.outputHookPoint !== null) parseHookPoint(config.outputHookPoint, model.layers);
  const what = `dictionary ${config.model}/${config.name}`;
  const values: Record<string, unknown> = {
    model_id: model.id,
    name: config.name,
    hook_point: config.hookPoint,
    output_hook_point: config.outputHookPoint,
    layer,
    architecture: config.architecture,
    d_in: natural(config.dIn, I32, `width of ${what}`),
    n_features: natural(config.nFeatures, I32, `number of features of ${what}`),
    k: config.k === null ? null : natural(config.k, I32, `k of ${what}`),
    l1: config.l1 === null ? null : finite(config.l1, `l1 of ${what}`),
    input_scale: finite(config.inputScale, `input scale of ${what}`),
    weights_hash: config.weightsHash,
    location,
    fvu: quality === null ? null : finite(quality.fvu, `fvu of ${what}`),
    l0: quality === null ? null : finite(quality.l0, `l0 of ${what}`),
    alive_share: quality === null ? null : finite(quality.aliveShare, `alive share of ${what}`),
    quality_vectors: quality === null ? null : quality.vectors,
    train_run: runs.train.key,
    analyse_run: runs.analyse.key,
    explain_run: runs.explain?.key ?? null,
    tokens_analysed: tokensAnalysed,
  };
  const { rows: known } = await client.query<{ id: number; weights_hash: string }>(
    'SELECT id, weights_hash FROM dictionary WHERE model_id = $1 AND name = $2',
    [model.id, config.name],
  );
  const old = known[0];
  if (old !== undefined && old.weights_hash !== config.weightsHash) {
    // Other weights: the same index is another feature, so measured edges no longer hold.
    await client.query('DELETE FROM circuit_edge WHERE source_dictionary_id = $1', [old.id]);
    await client.query('DELETE FROM circuit_edge WHERE target_dictionary_id = $1', [old.id]);
  }
  const columns = Object.keys(values);
  const places = columns.map((_, i) => `$${i + 1}`);
  const { rows } = await client.query<{ id: number }>(
    old === undefined
      ? `INSERT INTO dictionary (${columns.join(', ')}) VALUES (${places.join(', ')}) RETURNING id`
      : `UPDATE dictionary SET (${columns.join(', ')}, created_at) = (${places.join(', ')}, now()) WHERE id = ${old.id} RETURNING id`,
    Object.values(values),
  );
  return rows[0]!.id;
}

async function loadExplanations(lane: CopyLane, id: number, load: DictionaryLoad, outcomes: Outcomes): Promise<number> {
  const { nFeatures } = load.config;
  const explanations = new CopyTable(lane, 'explanation', ['dictionary_id', 'index', 'explainer', 'description', 'detail', 'run', 'best_score']);
  const scores = new CopyTable(lane, 'score', ['dictionary_id', 'index', 'explainer', 'scorer', 'value', 'undefined_reason', 'n', 'low', 'high']);
  for await (const outcome of load.explanations) {
    if (outcome.kind === 'skipped') {
      outcomes.skipped.set(natural(outcome.index, nFeatures - 1, 'index of a skipped feature'), outcome.reason);
      continue;
    }
    const { explanation } = outcome;
    const { index } = explanation;
    natural(index, nFeatures - 1, 'index of an explained feature');
    if (load.runs.explain === null) throw new CallerError('BAD_INPUT', `feature ${index} has an explanation, but the load names no explain run`);
    const score = writeScores(scores, id, explanation);
    outcomes.explained[index] = 1;
    if (score !== null && !(outcomes.score[index]! >= score)) outcomes.score[index] = score;
    for (const word of wordsOf(explanation.description)) outcomes.words.add(word);
    explanations.row();
    explanations.int4(id);
    explanations.int4(index);
    explanations.text(explanation.explainer);
    explanations.text(explanation.description);
    explanations.text(JSON.stringify(explanation.detail ?? null));
    explanations.text(load.runs.explain.key);
    explanations.float8(score);
    await explanations.flushIfFull();
    await scores.flushIfFull();
  }
  await explanations.flush();
  await scores.flush();
  return explanations.rows;
}

/** Writes the explanation's scores; returns the one that ranks. */
function writeScores(table: CopyTable, id: number, { index, explainer, scores }: Explanation): number | null {
  let ranking: number | null = null;
  for (const score of scores) {
    const what = `${score.scorer} of feature ${index} by ${explainer}`;
    if ((score.value === null) !== (score.undefinedReason !== null)) {
      throw new CallerError('BAD_INPUT', `${what}: expected either a value or the reason why there is none`);
    }
    const optional = (value: number | null): number | null => (value === null ? null : finite(value, what));
    table.row();
    table.int4(id);
    table.int4(index);
    table.text(explainer);
    table.text(score.scorer);
    table.float8(optional(score.value));
    table.text(score.undefinedReason);
    table.int4(natural(score.n, I32, `n of ${what}`));
    table.float8(optional(score.low));
    table.float8(optional(score.high));
    if (score.scorer === RANKING_SCORER) ranking = score.value;
  }
  return ranking;
}

async function loadFeatures(lane: CopyLane, id: number, load: DictionaryLoad, outcomes: Outcomes): Promise<{ features: number; exemplars: number }> {
  const { nFeatures } = load.config;
  const seen = new Uint8Array(nFeatures);
  const features = new CopyTable(lane, 'feature', [
    'dictionary_id', 'index', 'density', 'max_activation', 'mean_activation', 'histogram', 'top_logits', 'bottom_logits',
    'neighbours', 'best_score', 'explained', 'skip_reason',
  ]); // prettier-ignore
  const exemplars = new CopyTable(lane, 'exemplar', ['dictionary_id', 'index', 'kind', 'count', 'windows']);
  let windows = 0;
  for await (const feature of load.features) {
    const index = natural(feature.index, nFeatures - 1, 'index of a feature');
    if (seen[index] === 1) throw new CallerError('BAD_INPUT', `feature ${index} comes twice`);
    seen[index] = 1;
    try {
      writeFeature(features, id, feature, outcomes);
      windows += writeExemplars(exemplars, id, feature);
    } catch (error) {
      if (error instanceof CallerError) throw new CallerError(error.code, `feature ${index}: ${error.message}`);
      throw error;
    }
    await features.flushIfFull();
    await exemplars.flushIfFull();
  }
  await features.flush();
  await exemplars.flush();
  const stray = outcomes.explained.findIndex((explained, index) => explained === 1 && seen[index] === 0);
  if (stray >= 0) throw new CallerError('BAD_INPUT', `feature ${stray} has an explanation, but no analysis`);
  return { features: features.rows, exemplars: windows };
}

function writeFeature(table: CopyTable, id: number, feature: FeatureAnalysis, outcomes: Outcomes): void {
  const { index } = feature;
  const score = outcomes.score[index]!;
  table.row();
  table.int4(id);
  table.int4(index);
  table.float8(finite(feature.density, 'density'));
  table.float8(finite(feature.maxActivation, 'maximum activation'));
  table.float8(feature.meanActivation === null ? null : finite(feature.meanActivation, 'mean activation'));
  table.bytes(packHistogram(feature.histogram));
  table.bytes(packLogits(feature.topLogits));
  table.bytes(packLogits(feature.bottomLogits));
  table.bytes(packNeighbours(feature.neighbours));
  table.float8(Number.isNaN(score) ? null : score);
  table.bool(outcomes.explained[index] === 1);
  table.text(outcomes.skipped.get(index) ?? null);
}

function writeExemplars(table: CopyTable, id: number, feature: FeatureAnalysis): number {
  let written = 0;
  for (const kind of KINDS) {
    const windows = feature.exemplars.filter((exemplar) => exemplar.kind === kind).sort((a, b) => a.rank - b.rank);
    if (windows.length === 0) continue;
    table.row();
    table.int4(id);
    table.int4(feature.index);
    table.int2(kindCode(kind));
    table.int2(natural(windows.length, 0x7fff, `number of ${kind} exemplars`));
    table.bytes(packWindows(windows));
    written += windows.length;
  }
  if (written !== feature.exemplars.length) throw new CallerError('BAD_INPUT', `an exemplar is of no known kind: expected ${KINDS.join(', ')}`);
  return written;
}
