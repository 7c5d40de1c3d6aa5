/**
 * The API at growing catalogs, under load, beside PostGraphile 5 on the same database.
 *
 *     node scripts/bench/api.ts 10k[,100k,1m] ROUNDS [--seconds N] [--keep FOLDER] [--prof FOLDER]
 *
 * Builds a seeded synthetic catalog (api/data.ts) through the product's writer in an embedded PostgreSQL of a temporary folder (removed
 * at the end, unless kept), times that beside a bare COPY of the same rows, then asks each operation (api/operations.ts) of random
 * features by autocannon, 8 connections, in turns of N seconds (3 when absent). Medians over the rounds.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Client } from 'pg';
import { openCatalog } from '../../src/adapters/prisma/catalog.ts';
import { table } from '../table.ts';
import { Child } from './api/child.ts';
import { makeWords, planDictionaries } from './api/data.ts';
import { bareCopy, loadAll } from './api/load.ts';
import { ask, measure, type Measured } from './api/measure.ts';
import { OPERATIONS, subjectsOf } from './api/operations.ts';

const { values, positionals } = parseArgs({ allowPositionals: true, options: { keep: { type: 'string' }, seconds: { type: 'string', default: '3' }, prof: { type: 'string' } } });
const COUNTS = (positionals[0] ?? '10k').split(',').map((text) => Number.parseFloat(text) * (/k$/i.test(text) ? 1e3 : /m$/i.test(text) ? 1e6 : 1));
const ROUNDS = Number(positionals[1] ?? 3);
const SECONDS = Number(values.seconds);
const SUBJECTS = 2000;
const SAMPLE = 20;

const load = (): string => `load ${loadavg()[0]!.toFixed(1)}`;
const median = (list: readonly number[]): number => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)]!;

async function bench(features: number): Promise<void> {
  const home = values.keep === undefined ? mkdtempSync(join(tmpdir(), 'api-bench-')) : join(values.keep, String(features));
  const catalog = await openCatalog({ home });
  const words = makeWords();
  const plans = planDictionaries(features);
  const client = new Client({ connectionString: catalog.url });
  try {
    await client.connect();
    const { rows } = await client.query<{ n: string }>('SELECT count(*) AS n FROM dictionary');
    if (rows[0]!.n === '0') {
      const seconds = await loadAll(catalog.writer, plans, words);
      const bare = await bareCopy(client, join(home, 'bare'));
      console.log(`${features} features: load ${seconds.toFixed(1)} s, bare COPY of ${(bare.bytes / 1e6).toFixed(0)} MB ${bare.seconds.toFixed(1)} s: ${(bare.seconds / seconds).toFixed(2)} times as fast; ${load()}`);
      await client.query('VACUUM ANALYZE');
    }
    await underLoad(home, features, subjectsOf(plans, words, SUBJECTS));
  } finally {
    await client.end();
    await catalog.close();
    if (values.keep === undefined) rmSync(home, { recursive: true, force: true });
  }
}

async function underLoad(home: string, features: number, subjects: ReturnType<typeof subjectsOf>): Promise<void> {
  const profile = values.prof === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${values.prof}`];
  const server = await Child.start(fileURLToPath(new URL('api/server.ts', import.meta.url)), [], { CATALOG_HOME: home, PORT: '0', LOG_LEVEL: 'silent' }, profile);
  try {
    for (const operation of OPERATIONS) for (const subject of subjects.slice(0, SAMPLE)) await ask(server.url, operation.ours(subject));
    const before = await server.rss();
    const lines: string[][] = [];
    for (const operation of OPERATIONS) {
      const measured: Measured[] = [];
      const questions = subjects.map((subject) => operation.ours(subject));
      for (let round = 0; round < ROUNDS; round++) measured.push(await measure(server.url, questions, SECONDS));
      const cell = (key: keyof Measured, digits: number): string => median(measured.map((one) => one[key])).toFixed(digits);
      lines.push([operation.name, cell('rate', 0), cell('p50', 1), cell('p95', 1), cell('p99', 1), cell('bytes', 0)]);
    }
    console.log(table([`${features} features`, 'req/s', 'p50 ms', 'p95', 'p99', 'bytes'], lines));
    console.log(`server's memory ${before.toFixed(0)} MB before, ${(await server.rss()).toFixed(0)} MB after; ${load()}`);
  } finally {
    await server.stop();
  }
}

for (const count of COUNTS) await bench(count);
