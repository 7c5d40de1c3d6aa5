import { readFile } from 'node:fs/promises';
import type { ApiConfig } from './config.ts';
import { CallerError, messageOf } from './domain/errors.ts';
import { OPERATION_LIMITS } from './graphql/limits.ts';
import { readSafelist, type Safelist } from './graphql/safelist.ts';
import type { ServerOptions } from './graphql/server.ts';
import { HTTP_SETTINGS, type HttpSettings } from './graphql/settings.ts';
import type { Meters } from './ports/Meters.ts';
import type { Tracer } from './ports/Tracer.ts';
import { CODE_VERSION } from './version.ts';

/** What the configuration says of how the server is operated. Metrics and traces are loaded only where they are wanted. */
export interface Operating {
  readonly server: Pick<ServerOptions, 'http' | 'limits' | 'safelist' | 'meters' | 'tracer'>;
  /** Of the pool that serves requests. */
  readonly database: { readonly connections?: number; readonly statementSeconds?: number; readonly tracer?: Tracer };
  close(): Promise<void>;
}

export async function openOperating(api: ApiConfig): Promise<Operating> {
  const http = given<HttpSettings>({
    corsOrigins: api.corsOrigins,
    hosts: api.hosts,
    bodyBytes: api.bodyBytes,
    requestSeconds: api.requestSeconds,
    mutationSeconds: api.mutationSeconds,
    connections: api.connections,
    drainSeconds: api.drainSeconds,
    shutdownSeconds: api.shutdownSeconds,
    metricsOpen: api.metricsOpen,
  });
  const limits = { ...OPERATION_LIMITS, ...given({ cost: api.maxCost, depth: api.maxDepth }) };
  const safelist = api.safelist === undefined ? undefined : await safelistOf(api.safelist);
  const meters = api.metrics ? (await import('./adapters/telemetry/prometheusMeters.ts')).prometheusMeters() : undefined;
  const tracer = api.traces === undefined ? undefined : await tracerOf(api.traces, api.serviceName);
  const requestSeconds = http.requestSeconds ?? HTTP_SETTINGS.requestSeconds;
  return {
    server: { http, limits, ...given({ safelist, meters, tracer }) },
    database: given({ connections: api.databaseConnections, statementSeconds: requestSeconds === 0 ? undefined : requestSeconds, tracer }),
    close: async () => tracer?.close(),
  };
}

/** Shows how the pool of connections to PostgreSQL is used. */
export function meterDatabase(meters: Meters | undefined, connections: () => { readonly total: number; readonly idle: number; readonly waiting: number }): void {
  meters?.gauge('database_connections', 'Connections to PostgreSQL that are open.', () => connections().total);
  meters?.gauge('database_connections_idle', 'Connections to PostgreSQL that wait for work.', () => connections().idle);
  meters?.gauge('database_requests_waiting', 'Reads and writes that wait for a connection.', () => connections().waiting);
}

/** The fields that have a value. */
function given<T extends object>(fields: { readonly [Key in keyof T]?: T[Key] | undefined }): Partial<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<T>;
}

async function safelistOf(path: string): Promise<Safelist> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new CallerError('BAD_CONFIG', `SAFELIST cannot be read: ${messageOf(error)}`, { cause: error });
  });
  return readSafelist(text, `SAFELIST ${path}`);
}

async function tracerOf(endpoint: string, serviceName: string): Promise<Tracer> {
  const { otlpTracer } = await import('./adapters/telemetry/otlpTracer.ts');
  return otlpTracer({ endpoint, serviceName, version: CODE_VERSION });
}
