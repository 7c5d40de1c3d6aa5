import type { PoolClient } from 'pg';
import { CallerError } from '../../domain/errors.ts';
import type { ExplainOutcome } from '../../domain/feature.ts';
import type { BulkCounts, BulkLoad, BulkMeasured, MeasuredCounts, OfRun } from '../../ports/CatalogBulk.ts';
import { CopyLane, CopyTable } from './copyTable.ts';
import { dictionariesBeside, lockEdges, refreshEdgeFlags } from './edgeFlags.ts';
import { restoreNearest, type Place } from './bulkNearest.ts';
import { restorePeople } from './bulkPeople.ts';
import { loadDictionary, lockDictionary } from './loadDictionary.ts';
import { loadModel } from './loadModel.ts';
import { finite, natural } from './pack.ts';
import { saveRun } from './writeExplanations.ts';

const I32 = 0x7fff_ffff;
const MEASURED = ['effect', 'strength', 'standard_error', 'n', 'run'];

/** Inside the caller's transaction: a dictionary as another catalog had it, with what every explainer said; see CatalogBulk.restore. */
export async function restoreDictionary(client: PoolClient, load: BulkLoad): Promise<BulkCounts> {
  const { dictionary, summaries } = load;
  const others: { readonly table: string; readonly index: number; readonly explainer: string; readonly run: string }[] = [];
  const { model, name } = dictionary;
  await lockDictionary(client, model, name);
  if (load.model !== null) {
    await loadModel(client, load.model.row, load.model.tokens);
    if (load.model.row.restricted) await client.query('UPDATE model SET restricted = true WHERE name = $1', [model]);
  }
  for await (const run of load.runs) await saveRun(client, run);
  const known = await client.query<{ id: number }>('SELECT d.id FROM dictionary d JOIN model m ON m.id = d.model_id WHERE m.name = $1 AND d.name = $2', [model, name]);
  for (const { id } of known.rows) {
    for (const table of ['explanation', 'score', 'explanation_skip', 'explanation_summary']) await client.query(`DELETE FROM "${table}" WHERE dictionary_id = $1 AND explainer NOT LIKE 'person/%'`, [id]);
  }
  const counts = await loadDictionary(client, {
    config: { ...dictionary, formatVersion: 1, dOut: dictionary.dIn, outputScale: dictionary.inputScale, run: dictionary.trainRun },
    quality: dictionary.quality,
    location: dictionary.location,
    tokensAnalysed: dictionary.tokensAnalysed ?? 0,
    runs: { train: load.train, analyse: load.analyse },
    features: load.features,
    explanations: load.explanations.map(({ explainer, run, outcomes }) => ({ explainer, run, outcomes: noting(explainer, run.key, outcomes) })),
  });
  const { rows } = await client.query<{ id: number }>(
    `UPDATE dictionary d SET created_at = $3, tokens_analysed = $4, analyse_run = $5 FROM model m WHERE m.id = d.model_id AND m.name = $1 AND d.name = $2 RETURNING d.id`,
    [model, name, dictionary.createdAt, dictionary.tokensAnalysed, dictionary.analyseRun],
  );
  const { id } = rows[0]!;
  await restorePeople(client, id, dictionary.nFeatures, load.people);
  for (const table of ['explanation', 'explanation_skip']) {
    const some = others.filter((one) => one.table === table);
    await client.query(
      `UPDATE "${table}" x SET run = o.run FROM unnest($2::int[], $3::text[], $4::text[]) o("index", explainer, run) WHERE x.dictionary_id = $1 AND x."index" = o."index" AND x.explainer = o.explainer`,
      [id, some.map(({ index }) => index), some.map(({ explainer }) => explainer), some.map(({ run }) => run)],
    );
  }
  if (summaries !== null) {
    await client.query('DELETE FROM explanation_summary WHERE dictionary_id = $1', [id]);
    for (const { explainer, run, features, explained, skips, scores } of summaries) {
      await client.query('INSERT INTO explanation_summary (dictionary_id, explainer, run, features, explained, skips, scores) VALUES ($1, $2, $3, $4, $5, $6, $7)', [
        id, explainer, run, features, explained, JSON.stringify(skips), JSON.stringify(scores),
      ]); // prettier-ignore
    }
  }
  return counts;

  /** Passes the outcomes on; remembers those that are of another run than the explainer's: made one at a time, so few. */
  async function* noting(explainer: string, run: string, outcomes: AsyncIterable<OfRun<ExplainOutcome>>): AsyncGenerator<ExplainOutcome, void, undefined> {
    for await (const outcome of outcomes) {
      const explained = outcome.kind === 'explained';
      if (outcome.run !== run) others.push({ table: explained ? 'explanation' : 'explanation_skip', index: explained ? outcome.explanation.index : outcome.index, explainer, run: outcome.run });
      yield outcome;
    }
  }
}

/** Inside the caller's transaction: edges into a dictionary and from it to tokens, nearest features, and patches; see CatalogBulk.restoreMeasured. */
export async function restoreMeasured(client: PoolClient, load: BulkMeasured): Promise<MeasuredCounts> {
  const { model, dictionary } = load;
  await lockEdges(client, model, 'exclusive');
  for await (const run of load.runs) await saveRun(client, run);
  const { rows } = await client.query<Place>(
    'SELECT d.id, d.name, d.n_features AS features, d.weights_hash AS hash, m.id AS model, m.vocab_size AS vocab FROM dictionary d JOIN model m ON m.id = d.model_id WHERE m.name = $1',
    [model],
  );
  const byName: ReadonlyMap<string, Place> = new Map(rows.map((row) => [row.name, row]));
  const own = byName.get(dictionary);
  if (own === undefined) throw new CallerError('NOT_FOUND', `the catalog has no dictionary ${model}/${dictionary}: import it before its edges`);
  const before = await dictionariesBeside(client, own.id);
  await client.query('DELETE FROM circuit_edge WHERE target_dictionary_id = $1 AND ($2::int[] IS NULL OR target_index = ANY($2))', [own.id, load.indices]);
  await client.query('DELETE FROM output_edge WHERE source_dictionary_id = $1 AND ($2::int[] IS NULL OR source_index = ANY($2))', [own.id, load.indices]);
  const lane = new CopyLane(client);
  const edges = new CopyTable(lane, 'circuit_edge', ['target_dictionary_id', 'target_index', 'source_dictionary_id', 'source_index', ...MEASURED]);
  const outputs = new CopyTable(lane, 'output_edge', ['source_dictionary_id', 'source_index', 'model_id', 'token_id', ...MEASURED]);
  const without = new Map<string, number>();
  const index = (value: number, features: number, name: string): number => natural(value, features - 1, `feature of an edge in ${model}/${name}`);
  const measured = (table: CopyTable, { effect, standardError, n, run }: { effect: number; standardError: number; n: number; run: string }): void => {
    table.float8(finite(effect, 'effect of an edge'));
    table.float8(Math.abs(effect));
    table.float8(finite(standardError, 'standard error of an edge'));
    table.int4(natural(n, I32, 'n of an edge'));
    table.text(run);
  };
  for await (const edge of load.edges) {
    const source = byName.get(edge.sourceDictionary);
    if (source === undefined) {
      without.set(edge.sourceDictionary, (without.get(edge.sourceDictionary) ?? 0) + 1);
      continue;
    }
    edges.row();
    edges.int4(own.id);
    edges.int4(index(edge.targetIndex, own.features, dictionary));
    edges.int4(source.id);
    edges.int4(index(edge.sourceIndex, source.features, source.name));
    measured(edges, edge);
    await edges.flushIfFull();
  }
  for await (const edge of load.outputs) {
    outputs.row();
    outputs.int4(own.id);
    outputs.int4(index(edge.sourceIndex, own.features, dictionary));
    outputs.int4(own.model);
    outputs.int4(natural(edge.tokenId, own.vocab - 1, `token of an edge from ${model}/${dictionary}/${edge.sourceIndex}`));
    measured(outputs, edge);
    await outputs.flushIfFull();
  }
  await edges.flush();
  await outputs.flush();
  await lane.idle();
  await refreshEdgeFlags(client, [...new Set([own.id, ...before, ...(await dictionariesBeside(client, own.id))])]);
  const nearest = await restoreNearest(client, load, own, byName, without);
  let patches = 0;
  for await (const { id, input, result, weightsHash, codeVersion, createdAt, milliseconds } of load.patches) {
    const { rowCount } = await client.query(
      'INSERT INTO patch_run (id, input, result, weights_hash, code_version, created_at, milliseconds) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING',
      [id, JSON.stringify(input), JSON.stringify(result), weightsHash, codeVersion, createdAt, milliseconds],
    );
    patches += rowCount ?? 0;
  }
  return { edges: edges.rows, outputs: outputs.rows, nearest, patches, without };
}
