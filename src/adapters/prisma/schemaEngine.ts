import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { PrismaPg } from '@prisma/adapter-pg';
import { ColumnTypeEnum, DriverAdapterError, bindMigrationAwareSqlAdapterFactory } from '@prisma/driver-adapter-utils';
import type { SchemaEngine } from '@prisma/schema-engine-wasm';
import { DatabaseError } from 'pg';
import type { Pool, QueryConfig, QueryResult } from 'pg';

type Exports = Record<string, unknown>;

interface Background {
  readonly SchemaEngine: typeof SchemaEngine;
  __wbg_set_wasm(exports: Exports): void;
}

// TypeScript declares WebAssembly with the browser's types only, which this project does not load.
const { WebAssembly } = globalThis as unknown as {
  WebAssembly: { instantiate(bytes: Uint8Array, imports: Record<string, unknown>): Promise<{ instance: { exports: Exports } }> };
};

const require = createRequire(import.meta.url);

async function background(): Promise<Background> {
  // The package's entry imports its .wasm as a module, which Node offers only behind a flag: instantiated by hand here.
  const module = (await import('@prisma/schema-engine-wasm/schema_engine_bg' as string)) as Background;
  const bytes = await readFile(require.resolve('@prisma/schema-engine-wasm').replace(/schema_engine\.js$/, 'schema_engine_bg.wasm'));
  const { instance } = await WebAssembly.instantiate(bytes, { './schema_engine_bg.js': module });
  module.__wbg_set_wasm(instance.exports);
  (instance.exports['__wbindgen_start'] as () => void)();
  return module;
}

let loaded: Promise<Background> | undefined;

type Adapter = Awaited<ReturnType<PrismaPg['connect']>>;

/** PostgreSQL's one-byte "char", which catalog tables use, is unknown to the stock adapter: sent as text, labelled as character. */
const INTERNAL_CHAR = 18;
const TEXT = 25;

/** Two repairs of the stock adapter, for migrating and diffing. */
function adapt(adapter: Adapter): Adapter {
  const pool = adapter.underlyingDriver();
  const query = pool.query.bind(pool) as (config: string | QueryConfig) => Promise<QueryResult>;
  // It splits a script at every ";" and sends the parts over any connection; a migration must run whole or not at all.
  adapter.executeScript = async (script) => {
    await query(script).catch((error: unknown) => {
      throw driverError(error);
    });
  };
  const characters = new WeakMap<object, readonly boolean[]>();
  pool.query = (async (config: QueryConfig) => {
    const result = await query(config);
    if (result.fields?.some((field) => field.dataTypeID === INTERNAL_CHAR)) {
      characters.set(result.rows, result.fields.map((field) => field.dataTypeID === INTERNAL_CHAR));
      for (const field of result.fields) if (field.dataTypeID === INTERNAL_CHAR) field.dataTypeID = TEXT;
    }
    return result;
  }) as typeof pool.query;
  const queryRaw = adapter.queryRaw.bind(adapter);
  adapter.queryRaw = async (statement) => {
    const result = await queryRaw(statement);
    const mask = characters.get(result.rows);
    if (mask === undefined) return result;
    return { ...result, columnTypes: result.columnTypes.map((type, i) => (mask[i] === true ? ColumnTypeEnum.Character : type)) };
  };
  return adapter;
}

/** The form in which the engine understands what the server said. */
function driverError(error: unknown): unknown {
  if (!(error instanceof DatabaseError)) return error;
  const { code = 'N/A', severity = 'ERROR', message, detail, column, hint } = error;
  return new DriverAdapterError({ kind: 'postgres', code, severity, message, detail, column, hint });
}

/** Prisma's own schema engine, in WebAssembly, talking through the given pool. `datamodel`: text of schema.prisma. */
export async function openSchemaEngine(pool: Pool, datamodel: string): Promise<SchemaEngine> {
  const engine = await (loaded ??= background());
  const factory = new PrismaPg(pool, { schema: 'public' });
  const connect = factory.connect.bind(factory);
  const shadow = factory.connectToShadowDb.bind(factory);
  factory.connect = async () => adapt(await connect());
  factory.connectToShadowDb = async () => adapt(await shadow());
  return engine.SchemaEngine.new({ datamodels: [['schema.prisma', datamodel]] }, () => undefined, bindMigrationAwareSqlAdapterFactory(factory));
}
