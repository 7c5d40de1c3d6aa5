import type { PoolClient } from 'pg';
import { CallerError } from '../../domain/errors.ts';
import type { ExemplarKind, FeatureAnalysis } from '../../domain/feature.ts';
import { parseHookPoint } from '../../domain/hookPoint.ts';
import type { DictionaryLoad } from '../../ports/CatalogWriter.ts';
import { CopyLane, CopyTable } from './copyTable.ts';
import { dictionariesBeside, edgeFlagsOf, lockEdges, refreshEdgeFlags } from './edgeFlags.ts';
import { forgetNearest } from './nearest.ts';
import { FEATURE_TOKEN_COLUMNS, writeTokens } from './featureTokens.ts';
import { finite, kindCode, natural, packHistogram, packLogits, packNeighbours, packWindows } from './pack.ts';
import { replaceExplanations, saveRun, saveWords } from './writeExplanations.ts';

const KINDS: readonly ExemplarKind[] = ['top', 'quantile', 'random'];
const I32 = 0x7fff_ffff;

/** What the explanations say of each feature; explanations are loaded first, so that each feature's row is written once. */
interface Explained {
  /** Highest ranking score; NaN where there is none. */
  readonly score: Float64Array;
  /** 0 = no explanation, 1 = of people only, 2 = also by a machine. */
  readonly explained: Uint8Array;
}

export interface Counts {
  readonly features: number;
  readonly exemplars: number;
  readonly explanations: number;
}

/**
 * Inside the caller's transaction: replaces the dictionary's row (keeping its id), its features and exemplars, and what the
 * explainers named said of it. What others said stays while the weights do.
 */
export async function loadDictionary(client: PoolClient, load: DictionaryLoad): Promise<Counts> {
  const { config } = load;
  await lockDictionary(client, config.model, config.name);
  for (const run of [load.runs.train, load.runs.analyse]) await saveRun(client, run);
  const id = await saveDictionary(client, load);
  for (const table of ['feature', 'exemplar', 'feature_token']) await client.query(`DELETE FROM "${table}" WHERE dictionary_id = $1`, [id]);
  let explanations = 0;
  const words = new Set<string>();
  for (const one of load.explanations) explanations += (await replaceExplanations(client, id, config.nFeatures, one, words)).explanations;
  const lane = new CopyLane(client);
  const { features, exemplars, gone } = await loadFeatures(lane, id, load, await explainedOf(client, id, config.nFeatures), await edgeFlagsOf(client, id, config.nFeatures));
  await lane.idle();
  // What people said of features that are gone goes with them: nobody's words hold up a load.
  if (gone.length > 0) await client.query('DELETE FROM explanation WHERE dictionary_id = $1 AND "index" = ANY($2::int[])', [id, gone]);
  await saveWords(client, words);
  return { features, exemplars, explanations };
}

/** Writers of one dictionary take turns until their transactions end; readers are not held up. */
export async function lockDictionary(client: PoolClient, model: string, name: string): Promise<void> {
  await client.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`load ${model}/${name}`]);
}

/** Of all explanations the dictionary now has. */
async function explainedOf(client: PoolClient, id: number, nFeatures: number): Promise<Explained> {
  const found: Explained = { score: new Float64Array(nFeatures).fill(Number.NaN), explained: new Uint8Array(nFeatures) };
  const { rows } = await client.query<[number, number | null, boolean]>({
    text: `SELECT "index", max(best_score), bool_and(explainer LIKE 'person/%') FROM explanation WHERE dictionary_id = $1 GROUP BY "index"`,
    values: [id],
    rowMode: 'array',
  });
  for (const [index, score, people] of rows) {
    found.explained[index] = people ? 1 : 2;
    if (score !== null) found.score[index] = score;
  }
  return found;
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
    tokens_analysed: tokensAnalysed,
  };
  const { rows: known } = await client.query<{ id: number; weights_hash: string }>(
    'SELECT id, weights_hash FROM dictionary WHERE model_id = $1 AND name = $2',
    [model.id, config.name],
  );
  const old = known[0];
  const changed = old !== undefined && old.weights_hash !== config.weightsHash;
  await lockEdges(client, config.model, changed ? 'exclusive' : 'shared');
  if (changed) {
    // Other weights: the same index is another feature, so measured edges no longer hold, and what was said of it neither.
    for (const table of ['explanation', 'score', 'explanation_skip', 'explanation_summary']) {
      // What people wrote stays, and says which weights it was written for; but not of features that are gone.
      const kept = table === 'explanation' ? ` AND (explainer NOT LIKE 'person/%' OR "index" >= ${natural(config.nFeatures, I32, 'number of features')})` : '';
      await client.query(`DELETE FROM "${table}" WHERE dictionary_id = $1${kept}`, [old.id]);
    }
    const beside = await dictionariesBeside(client, old.id);
    await client.query('DELETE FROM circuit_edge WHERE source_dictionary_id = $1', [old.id]);
    await client.query('DELETE FROM circuit_edge WHERE target_dictionary_id = $1', [old.id]);
    await client.query('DELETE FROM output_edge WHERE source_dictionary_id = $1', [old.id]);
    await refreshEdgeFlags(client, beside);
    await forgetNearest(client, old.id);
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

async function loadFeatures(lane: CopyLane, id: number, load: DictionaryLoad, explained: Explained, edges: Uint8Array): Promise<{ features: number; exemplars: number; gone: readonly number[] }> {
  const { nFeatures } = load.config;
  const seen = new Uint8Array(nFeatures);
  const features = new CopyTable(lane, 'feature', [
    'dictionary_id', 'index', 'density', 'max_activation', 'mean_activation', 'histogram', 'top_logits', 'bottom_logits',
    'neighbours', 'best_score', 'explained', 'edges',
  ]); // prettier-ignore
  const exemplars = new CopyTable(lane, 'exemplar', ['dictionary_id', 'index', 'kind', 'count', 'windows']);
  const tokens = new CopyTable(lane, 'feature_token', FEATURE_TOKEN_COLUMNS);
  let windows = 0;
  for await (const feature of load.features) {
    const index = natural(feature.index, nFeatures - 1, 'index of a feature');
    if (seen[index] === 1) throw new CallerError('BAD_INPUT', `feature ${index} comes twice`);
    seen[index] = 1;
    try {
      writeFeature(features, id, feature, explained);
      features.int2(edges[index]!);
      windows += writeExemplars(exemplars, id, feature);
      writeTokens(tokens, id, feature);
    } catch (error) {
      if (error instanceof CallerError) throw new CallerError(error.code, `feature ${index}: ${error.message}`);
      throw error;
    }
    await features.flushIfFull();
    await exemplars.flushIfFull();
    await tokens.flushIfFull();
  }
  await features.flush();
  await exemplars.flush();
  await tokens.flush();
  const gone: number[] = [];
  for (const [index, is] of explained.explained.entries()) {
    if (is === 0 || seen[index] === 1) continue;
    if (is === 2) throw new CallerError('BAD_INPUT', `feature ${index} has an explanation, but no analysis`);
    gone.push(index);
  }
  return { features: features.rows, exemplars: windows, gone };
}

function writeFeature(table: CopyTable, id: number, feature: FeatureAnalysis, explained: Explained): void {
  const { index } = feature;
  const score = explained.score[index]!;
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
  table.bool(explained.explained[index] !== 0);
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
