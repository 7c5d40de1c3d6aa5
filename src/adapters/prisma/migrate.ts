import { Client, Pool } from 'pg';
import { CallerError, OutsideError, messageOf } from '../../domain/errors.ts';
import { fillFeatureTokens } from './fillFeatureTokens.ts';
import { readDatamodel, readMigrations } from './migrations.ts';
import { openSchemaEngine } from './schemaEngine.ts';

/** Advisory lock held while migrating; the number only has to be ours. */
const MIGRATION_LOCK = 7_236_417_001;
const NO_FILTER = { externalTables: [], externalEnums: [] };

export interface MigrateOptions {
  /** Folder of migrations; the repository's by default. */
  readonly folder?: string;
}

/**
 * Brings the database at `url` to the newest migration; returns the names applied, oldest first. Runs without network and
 * writes the same history (`_prisma_migrations`) as `prisma migrate deploy`. Each migration is one transaction. A second
 * process migrating the same database waits for the first. What no SQL can fill is filled then, and later where that was broken off.
 */
export async function migrate(url: string, options: MigrateOptions = {}): Promise<readonly string[]> {
  const pool = new Pool({ connectionString: url, max: 1 });
  const lock = new Client({ connectionString: url });
  try {
    await lock.connect();
    // Known history is compared first, so that an up-to-date database costs a few queries and no WebAssembly.
    const list = await readMigrations(options.folder);
    await lock.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK]);
    if (await upToDate(lock, list.migrationDirectories.map((migration) => migration.path))) {
      await fillFeatureTokens(lock, pool);
      return [];
    }
    const engine = await openSchemaEngine(pool, await readDatamodel());
    try {
      const { appliedMigrationNames } = await engine.applyMigrations({ migrationsList: list, filters: NO_FILTER });
      await fillFeatureTokens(lock, pool);
      return appliedMigrationNames;
    } finally {
      engine.free();
    }
  } catch (error) {
    throw explain(error);
  } finally {
    // Ends the lock's session, which releases it.
    await lock.end().catch(() => undefined);
    await pool.end().catch(() => undefined);
  }
}

/** SQL that would bring the database at `url` to schema.prisma; empty when they agree. */
export async function drift(url: string): Promise<string> {
  const pool = new Pool({ connectionString: url, max: 1 });
  try {
    const content = await readDatamodel();
    const files = [{ path: 'schema.prisma', content }];
    const engine = await openSchemaEngine(pool, content);
    try {
      const { stdout } = await engine.diff({
        from: { tag: 'schemaDatasource', files, configDir: '.' },
        to: { tag: 'schemaDatamodel', files },
        script: true,
        exitCode: null,
        filters: NO_FILTER,
      });
      const script = (stdout ?? '').trim();
      return script === '-- This is an empty migration.' ? '' : script;
    } finally {
      engine.free();
    }
  } finally {
    await pool.end();
  }
}

async function upToDate(client: Client, names: readonly string[]): Promise<boolean> {
  const { rows: tables } = await client.query<{ present: boolean }>(`SELECT to_regclass('_prisma_migrations') IS NOT NULL AS present`);
  if (tables[0]?.present !== true) return false;
  const { rows } = await client.query<{ migration_name: string }>(
    'SELECT migration_name FROM _prisma_migrations WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL',
  );
  const applied = new Set(rows.map((row) => row.migration_name));
  return names.length === applied.size && names.every((name) => applied.has(name));
}

function explain(error: unknown): Error {
  if (error instanceof CallerError || error instanceof OutsideError) return error;
  const message = messageOf(error);
  if (/pg_trgm/.test(message)) {
    return new CallerError(
      'BAD_CONFIG',
      `the database needs the extension pg_trgm and this user may not create it (${message}): let an administrator run "CREATE EXTENSION pg_trgm" in it once, then migrate again`,
      { cause: error },
    );
  }
  return new OutsideError('postgres', `migrating the database failed: ${message}`, { cause: error });
}
