/**
 * Search in PostgreSQL, by kind of query, at growing numbers of explanations.
 *
 *     node scripts/bench/search.ts [counts, default 10000,100000,1000000] [rounds, default 100]
 *
 * Builds synthetic explanations (searchData.ts; seeded) in an embedded PostgreSQL of a temporary folder, by COPY, and asks the port
 * (PostgresSearch) one at a time, each time something else of the same kind: milliseconds from call to page of 20, median, p95 and
 * p99; and the pages of the database touched for it (hit in its cache or read), which a loaded machine does not change. Words by the
 * share of explanations that hold them. "deep" is a page some 50 pages down. Nothing is kept.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Pool } from 'pg';
import { startEmbedded } from '../../src/adapters/prisma/embedded.ts';
import { migrate } from '../../src/adapters/prisma/migrate.ts';
import { loadSearchData } from './searchData.ts';
import { askEverything } from './searchKinds.ts';

const COUNTS = (process.argv[2] ?? '10000,100000,1000000').split(',').map(Number);
const ROUNDS = Number(process.argv[3] ?? 100);

async function bench(count: number): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), 'search-bench-'));
  const server = await startEmbedded(home);
  const pool = new Pool({ connectionString: server.url, max: 1 });
  try {
    await migrate(server.url);
    const from = performance.now();
    const data = await loadSearchData(pool, count, 1);
    await pool.query(`SELECT gin_clean_pending_list('explanation_search_idx'), gin_clean_pending_list('explanation_word_trigram_idx')`);
    await pool.query('VACUUM ANALYZE explanation, explanation_word');
    console.log(`${count} explanations: loaded in ${((performance.now() - from) / 1000).toFixed(0)} s; load ${loadavg()[0]!.toFixed(1)}`);
    await askEverything(pool, data, ROUNDS);
    console.log(`load ${loadavg()[0]!.toFixed(1)}`);
  } finally {
    await pool.end();
    await server.stop();
    rmSync(home, { recursive: true, force: true });
  }
}

for (const count of COUNTS) await bench(count);
