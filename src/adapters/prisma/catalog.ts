import { PrismaPg } from '@prisma/adapter-pg';
import { Pool, type PoolConfig } from 'pg';
import { CallerError, OutsideError, messageOf } from '../../domain/errors.ts';
import type { Annotations } from '../../ports/Annotations.ts';
import type { CatalogReader } from '../../ports/CatalogReader.ts';
import type { CatalogWriter } from '../../ports/CatalogWriter.ts';
import type { FeatureSearch } from '../../ports/FeatureSearch.ts';
import type { KeyStore } from '../../ports/KeyStore.ts';
import type { SearchOutbox } from '../../ports/SearchOutbox.ts';
import type { Tracer } from '../../ports/Tracer.ts';
import { annotations } from './annotations.ts';
import { startEmbedded } from './embedded.ts';
import { PrismaClient } from './generated/client.ts';
import { keyStore } from './keyStore.ts';
import { migrate } from './migrate.ts';
import { PostgresReader } from './PostgresReader.ts';
import { PostgresSearch } from './PostgresSearch.ts';
import { PostgresWriter } from './PostgresWriter.ts';
import { searchOutbox } from './searchOutbox.ts';
import { traceStatements } from './traceStatements.ts';

/** Oldest server the SQL is written for. */
const MINIMUM_VERSION = 150_000;

/** How long after its time a statement's end is waited for, and how long a connection is. */
const SILENCE_MS = 5000;
const CONNECT_MS = 10_000;

export interface CatalogOptions {
  /** Data folder; the embedded server lives in <home>/postgres. */
  readonly home: string;
  /** A PostgreSQL of the user's (15 or newer) instead of the embedded one. */
  readonly databaseUrl?: string;
  /** Apply missing migrations first (default true). */
  readonly migrate?: boolean;
  /** Connections at most (default 10). */
  readonly connections?: number;
  /** A statement that takes longer is ended by the server; as long as it wants when absent. For reading: loading takes its time. */
  readonly statementSeconds?: number;
  /** Each statement of the pool is a span. */
  readonly tracer?: Tracer;
  /** Called with the text of every SQL statement sent. */
  readonly onStatement?: (sql: string) => void;
}

export interface Catalog {
  readonly reader: CatalogReader;
  readonly writer: CatalogWriter;
  readonly search: FeatureSearch;
  /** What a search server beside the database has yet to be told. */
  readonly outbox: SearchOutbox;
  /** What people say of features. */
  readonly annotations: Annotations;
  /** Who may ask for what. */
  readonly keys: KeyStore;
  /** With the password: not for logs. */
  readonly url: string;
  /** Migrations that opening applied. */
  readonly migrated: readonly string[];
  /** Connections open, those of them unused, and requests waiting for one. */
  connections(): { readonly total: number; readonly idle: number; readonly waiting: number };
  /** Ends the connections and, when this was its last user, the embedded server. */
  close(): Promise<void>;
}

/** Opens the catalog's database: the one at `databaseUrl`, otherwise the embedded one of `home`. */
export async function openCatalog(options: CatalogOptions): Promise<Catalog> {
  const server = options.databaseUrl === undefined ? await startEmbedded(options.home) : { url: options.databaseUrl, stop: async () => undefined };
  const pool = new Pool({
    connectionString: server.url,
    max: options.connections ?? 10,
    allowExitOnIdle: true,
    keepAlive: true,
    ...limitsOf(options.statementSeconds),
  });
  // An idle connection that the server cuts is replaced at the next query, which reports what is wrong if anything is.
  pool.on('error', () => undefined);
  // One that is cut while in use fails its statement; without a listener it would end the process too.
  pool.on('connect', (client) => client.on('error', () => undefined));
  if (options.onStatement !== undefined) observe(pool, options.onStatement);
  if (options.tracer !== undefined) traceStatements(pool, options.tracer);
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => (closed ??= Promise.all([prisma.$disconnect(), pool.end()]).then(() => server.stop()));
  const prisma = new PrismaClient({ adapter: new PrismaPg(pool) });
  try {
    if (options.databaseUrl !== undefined) await checkServer(pool);
    const migrated = options.migrate === false ? [] : await migrate(server.url);
    return { reader: new PostgresReader(pool, prisma), writer: new PostgresWriter(pool), search: new PostgresSearch(pool), outbox: searchOutbox(pool), annotations: annotations(pool), keys: keyStore(pool), url: server.url, migrated, connections: () => ({ total: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount }), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** A statement ends in PostgreSQL when its time is over; a server that no longer answers at all is given up a little later. */
function limitsOf(seconds: number | undefined): PoolConfig {
  if (seconds === undefined) return {};
  const ms = Math.ceil(seconds * 1000);
  return { statement_timeout: ms, query_timeout: ms + SILENCE_MS, connectionTimeoutMillis: Math.min(ms, CONNECT_MS) };
}

async function checkServer(pool: Pool): Promise<void> {
  const { rows } = await pool.query<{ version: string; encoding: string }>(`SELECT current_setting('server_version_num') AS version, current_setting('server_encoding') AS encoding`).catch((error: unknown) => {
    throw new OutsideError('postgres', `the server of DATABASE_URL does not answer: ${messageOf(error)}`, { cause: error });
  });
  const { version, encoding } = rows[0]!;
  if (Number(version) < MINIMUM_VERSION) {
    throw new CallerError('BAD_CONFIG', `the server of DATABASE_URL is PostgreSQL ${Math.floor(Number(version) / 10_000)}: expected 15 or newer`);
  }
  if (encoding !== 'UTF8') throw new CallerError('BAD_CONFIG', `the database of DATABASE_URL is encoded in ${encoding}: expected UTF8`);
}

function observe(pool: Pool, onStatement: (sql: string) => void): void {
  pool.on('connect', (client) => {
    const query = client.query.bind(client) as (...args: readonly unknown[]) => unknown;
    client.query = ((...args: readonly unknown[]) => {
      const [statement] = args;
      onStatement(typeof statement === 'string' ? statement : (statement as { text: string }).text);
      return query(...args);
    }) as typeof client.query;
  });
}
