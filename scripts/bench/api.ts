/**
 * The API at growing catalogs, under load, beside PostGraphile 5 on the same database.
 *
 *     node scripts/bench/api.ts 10k[,100k,1m] ROUNDS [--seconds N] [--keep FOLDER] [--prof FOLDER] [--alone] [--only WORDS]
 *
 * Builds a seeded synthetic catalog (api/data.ts) through the product's writer in an embedded PostgreSQL of a temporary folder (removed
 * at the end, unless kept), times that beside a bare COPY of the same rows, and installs PostGraphile by npm into a temporary folder
 * (api/postgraphile; not with --alone). After a comparison of answers it asks each operation (api/operations.ts) of random features by
 * autocannon, 8 connections, in turns of N seconds (3 when absent), the servers one after the other, who begins changing by round.
 * Medians over the rounds; a round before them is not counted. --prof: CPU profile of our server into the folder;
 * --only: operations whose name holds the words.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Client } from 'pg';
import { openCatalog } from '../../src/adapters/prisma/catalog.ts';
import { table } from '../table.ts';
import { Child } from './api/child.ts';
import { makeWords, planDictionaries } from './api/data.ts';
import { compareAnswers } from './api/equal.ts';
import { bareCopy, loadAll } from './api/load.ts';
import { measure, type Measured } from './api/measure.ts';
import { OPERATIONS, subjectsOf, type Operation, type Subject } from './api/operations.ts';
import { startPeer } from './api/peer.ts';
import { buildPeer } from './api/peerTables.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { keep: { type: 'string' }, seconds: { type: 'string', default: '3' }, prof: { type: 'string' }, alone: { type: 'boolean', default: false }, only: { type: 'string', default: '' } },
});
const COUNTS = (positionals[0] ?? '10k').split(',').map((text) => Number.parseFloat(text) * (/k$/i.test(text) ? 1e3 : /m$/i.test(text) ? 1e6 : 1));
const ROUNDS = Number(positionals[1] ?? 3);
const SECONDS = Number(values.seconds);
const SUBJECTS = 2000;
const COMPARED = 40;

interface Server {
  readonly name: string;
  readonly child: Child;
  question(operation: Operation, subject: Subject): ReturnType<Operation['ours']>;
}

const load = (): string => `load ${loadavg()[0]!.toFixed(1)}`;
const median = (list: readonly number[]): number => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)]!;

async function bench(features: number): Promise<void> {
  const temporary = mkdtempSync(join(tmpdir(), 'api-bench-'));
  // The embedded server may run as another user than this process.
  chmodSync(temporary, 0o755);
  const home = join(values.keep ?? temporary, String(features));
  const catalog = await openCatalog({ home });
  const words = makeWords();
  const plans = planDictionaries(features);
  const client = new Client({ connectionString: catalog.url });
  const started: Server[] = [];
  try {
    await client.connect();
    const { rows: loaded } = await client.query(`SELECT 1 FROM circuit_edge LIMIT 1`);
    if (loaded.length === 0) {
      const seconds = await loadAll(catalog.writer, plans, words);
      const bare = await bareCopy(client, join(home, 'bare'));
      console.log(`${features} features: load ${seconds.toFixed(1)} s; bare COPY of the same ${(bare.bytes / 1e6).toFixed(0)} MB ${bare.seconds.toFixed(1)} s; the load has ${(bare.seconds / seconds).toFixed(2)} of its speed; ${load()}`);
    }
    if (!values.alone) await buildPeer(client);
    await client.query('VACUUM ANALYZE');
    const { rows } = await client.query<{ name: string; id: number }>('SELECT name, id FROM dictionary');
    const ids = new Map(rows.map(({ name, id }) => [name, id]));
    const subjects = subjectsOf(plans, ids, words, SUBJECTS);
    const profile = values.prof === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${values.prof}`];
    const ours = await Child.start(fileURLToPath(new URL('api/server.ts', import.meta.url)), [], { CATALOG_HOME: home, PORT: '0', LOG_LEVEL: 'silent', NODE_ENV: 'production' }, profile);
    started.push({ name: 'ours', child: ours, question: (operation, subject) => operation.ours(subject) });
    if (!values.alone) started.push({ name: 'PostGraphile', child: await startPeer(join(temporary, 'postgraphile'), catalog.url), question: (operation, subject) => operation.peers(subject) });
    // Words that few explanations hold, so that the whole answers can be compared, whoever ranks them.
    const [first, peer] = started;
    if (peer !== undefined) await compare(first!.child.url, peer.child.url, subjectsOf(plans, ids, words, COMPARED, true));
    await underLoad(started, features, subjects);
  } finally {
    for (const { child } of started) await child.stop();
    await client.end();
    await catalog.close();
    rmSync(temporary, { recursive: true, force: true });
  }
}

async function compare(ours: string, peer: string, subjects: readonly Subject[]): Promise<void> {
  for (const operation of OPERATIONS) {
    const compared = await compareAnswers(operation, ours, peer, subjects);
    console.log(`${operation.name}: ${compared} of ${subjects.length} answers compared, equal`);
  }
}

async function underLoad(servers: readonly Server[], features: number, subjects: readonly Subject[]): Promise<void> {
  const [ours, peer] = servers;
  const operations = OPERATIONS.filter(({ name }) => name.includes(values.only));
  const before = await ours!.child.rss();
  const lines: string[][] = [];
  for (const operation of operations) {
    const measured = new Map(servers.map((server) => [server, [] as Measured[]]));
    for (let round = -1; round < ROUNDS; round++) {
      for (const server of round % 2 === 0 ? servers : servers.toReversed()) {
        const one = await measure(server.child.url, subjects.map((subject) => server.question(operation, subject)), SECONDS);
        if (round >= 0) measured.get(server)!.push(one);
      }
    }
    const of = (server: Server, key: keyof Measured): number => median(measured.get(server)!.map((one) => one[key]));
    for (const server of servers) {
      const ratio = server === ours && peer !== undefined ? (of(ours, 'rate') / of(peer, 'rate')).toFixed(2) : '';
      lines.push([operation.name, server.name, of(server, 'rate').toFixed(0), ratio, ...(['p50', 'p95', 'p99'] as const).map((key) => of(server, key).toFixed(1)), of(server, 'bytes').toFixed(0)]);
    }
  }
  console.log(table([`${features} features`, 'server', 'req/s', 'ratio', 'p50 ms', 'p95', 'p99', 'bytes'], lines));
  console.log(`our server's memory: ${before.toFixed(0)} MB before, ${(await ours!.child.rss()).toFixed(0)} MB after; ${load()}`);
}

for (const count of COUNTS) await bench(count);
