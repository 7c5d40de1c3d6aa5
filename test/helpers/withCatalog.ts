import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { Client } from 'pg';
import { openCatalog } from '../../src/adapters/prisma/catalog.ts';
import type { Catalog } from '../../src/adapters/prisma/catalog.ts';
import { startEmbedded } from '../../src/adapters/prisma/embedded.ts';
import type { EmbeddedServer } from '../../src/adapters/prisma/embedded.ts';
import { migrate } from '../../src/adapters/prisma/migrate.ts';

export interface TestCatalog extends Catalog {
  /** Texts of the SQL statements sent since the start of the test; set length = 0 to start counting. */
  readonly statements: string[];
  /** Runs SQL as the owner, on a connection of its own. */
  sql<Row extends Record<string, unknown>>(text: string, values?: readonly unknown[]): Promise<readonly Row[]>;
}

const TEMPLATE = 'template_catalog';
let started: Promise<{ home: string; server: EmbeddedServer }> | undefined;
let count = 0;

async function start(): Promise<{ home: string; server: EmbeddedServer }> {
  const home = await mkdtemp(join(tmpdir(), 'catalog-test-'));
  const server = await startEmbedded(home);
  // These databases live for one test: nothing waits for the disk.
  for (const setting of ['fsync', 'synchronous_commit', 'full_page_writes']) await onServer(server.url, `ALTER SYSTEM SET ${setting} = off`);
  await onServer(server.url, 'SELECT pg_reload_conf()');
  await onServer(server.url, `CREATE DATABASE ${TEMPLATE}`);
  await migrate(databaseUrl(server.url, TEMPLATE));
  return { home, server };
}

after(async () => {
  if (started === undefined) return;
  const { home, server } = await started;
  await server.stop();
  await rm(home, { recursive: true, force: true });
});

/** URL of another database on the same server. */
export function databaseUrl(url: string, database: string): string {
  const parsed = new URL(url);
  parsed.pathname = `/${database}`;
  return parsed.href;
}

async function onServer<Row extends Record<string, unknown>>(url: string, text: string, values: readonly unknown[] = []): Promise<Row[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Row>(text, [...values])).rows;
  } finally {
    await client.end();
  }
}

/** One embedded PostgreSQL for the whole test file; an empty database, not migrated. */
export async function withDatabase(work: (url: string) => Promise<void>, template = 'template0'): Promise<void> {
  const { server } = await (started ??= start());
  const name = `test_${++count}`;
  await onServer(server.url, `CREATE DATABASE ${name} TEMPLATE ${template}`);
  try {
    await work(databaseUrl(server.url, name));
  } finally {
    await onServer(server.url, `DROP DATABASE ${name} WITH (FORCE)`);
  }
}

/** A fresh, migrated catalog on a real PostgreSQL. A connection left open by `work` fails the test. */
export async function withCatalog(work: (catalog: TestCatalog) => Promise<void>): Promise<void> {
  await withDatabase(async (url) => {
    const { server } = await started!;
    const statements: string[] = [];
    const catalog = await openCatalog({ home: '', databaseUrl: url, migrate: false, onStatement: (sql) => statements.push(sql) });
    try {
      await work({ ...catalog, statements, sql: (text, values) => onServer(url, text, values) });
    } finally {
      await catalog.close();
    }
    const open = await openConnections(server.url, new URL(url).pathname.slice(1));
    assert.deepEqual(open, [], 'connections left open');
  }, TEMPLATE);
}

/** What sessions of the database are still doing; the server needs a moment to see a closed one go. */
async function openConnections(url: string, database: string): Promise<string[]> {
  let open: { query: string }[] = [];
  for (let attempt = 0; attempt < 100; attempt++) {
    open = await onServer<{ query: string }>(url, `SELECT query FROM pg_stat_activity WHERE datname = $1 AND backend_type = 'client backend'`, [database]);
    if (open.length === 0) return [];
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return open.map((row) => row.query);
}
