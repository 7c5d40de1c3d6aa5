import { rmSync } from 'node:fs';
import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from 'pg';
import type { CatalogWriter } from '../../../src/ports/CatalogWriter.ts';
import { configOf, edgesOf, featureOf, MODEL, modelOf, outcomeOf, runOf, type DictionaryPlan, type Words } from './data.ts';

const TABLES = ['token', 'feature', 'exemplar', 'feature_token', 'explanation', 'explanation_word', 'score', 'circuit_edge'];

async function timed(work: () => Promise<unknown>): Promise<number> {
  const from = performance.now();
  await work();
  return (performance.now() - from) / 1000;
}

async function* items<T>(list: readonly T[]): AsyncGenerator<T> {
  yield* list;
}

/** Loads everything through the product's writer; seconds, making the data not counted (but for the edges, made while they are sent). */
export async function loadAll(writer: CatalogWriter, plans: readonly DictionaryPlan[], words: Words): Promise<number> {
  const { row, tokens } = modelOf(words);
  let seconds = await timed(() => writer.loadModel(row, tokens));
  for (const plan of plans) {
    const features = Array.from({ length: plan.features }, (_, i) => featureOf(plan, i, words));
    const outcomes = features.map(({ index }) => outcomeOf(plan, index, words));
    seconds += await timed(() =>
      writer.loadDictionary({
        config: configOf(plan),
        quality: { fvu: 0.25, l0: 12.5, aliveShare: 0.9, vectors: 10_000 },
        location: `dictionaries/${plan.name}`,
        tokensAnalysed: 1e8,
        runs: { train: runOf('train'), analyse: runOf('analyse') },
        features: items(features),
        explanations: [{ explainer: 'pattern-v1', run: runOf('explain'), outcomes: items(outcomes) }],
      }),
    );
  }
  return seconds + (await timed(() => writer.loadCircuits(MODEL, [{ run: runOf('circuits'), edges: edgesOf(plans) }])));
}

/**
 * Seconds and bytes of COPY FROM of the same rows, from binary files, into empty tables with the same columns, constraints and indices.
 * One transaction, one connection, on the same server.
 */
export async function bareCopy(client: Client, folder: string): Promise<{ readonly seconds: number; readonly bytes: number }> {
  await mkdir(folder);
  // The embedded server may run as another user than this process.
  await chmod(folder, 0o777);
  try {
    await client.query('CREATE SCHEMA bare');
    let bytes = 0;
    for (const name of TABLES) {
      await client.query(`COPY public."${name}" TO '${join(folder, name)}' (FORMAT binary)`);
      await client.query(`CREATE TABLE bare."${name}" (LIKE public."${name}" INCLUDING ALL)`);
      const { rows } = await client.query<{ size: string }>(`SELECT (pg_stat_file('${join(folder, name)}')).size`);
      bytes += Number(rows[0]!.size);
    }
    await client.query('CHECKPOINT');
    const seconds = await timed(async () => {
      await client.query('BEGIN');
      for (const name of TABLES) await client.query(`COPY bare."${name}" FROM '${join(folder, name)}' (FORMAT binary)`);
      await client.query('COMMIT');
    });
    await client.query('DROP SCHEMA bare CASCADE');
    return { seconds, bytes };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
