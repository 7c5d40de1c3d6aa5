import { resolve } from 'node:path';
import { z } from 'zod';
import { CallerError } from './domain/errors.ts';

/**
 * Everything the environment decides, read and checked once. Command-line options override single fields; nothing else
 * in the program reads `process.env`.
 */
export interface Config {
  /** CATALOG_HOME: folder of runs, dictionaries, the model cache and the embedded database. */
  readonly home: string;
  /** HOST, PORT: where the API listens. */
  readonly host: string;
  readonly port: number;
  /** DATABASE_URL: a PostgreSQL server of the user's; undefined = the embedded one. */
  readonly databaseUrl: string | undefined;
  /** DEVICE: where the subject model runs. */
  readonly device: Device;
  /** WORKERS: inference threads; undefined = one per core. */
  readonly workers: number | undefined;
  readonly logLevel: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';
  /** HF_TOKEN: for gated models on the hub. */
  readonly hubToken: string | undefined;
  readonly languageModels: LanguageModelConfig;
  readonly search: SearchConfig;
  readonly api: ApiConfig;
  /** READS: `closed` = reading needs a key too. */
  readonly reads: 'open' | 'closed';
}

/** How the API meets the network, and what its operator sees. Absent = the server's own default. */
export interface ApiConfig {
  /** CORS_ORIGINS: origins whose pages may read answers, by commas; `*` = any. */
  readonly corsOrigins: readonly string[] | undefined;
  /** HOSTS: names the server answers to, by commas; needed where it is reached by a name and bound to loopback (behind a proxy). */
  readonly hosts: readonly string[] | undefined;
  /** BODY_BYTES: largest request body. */
  readonly bodyBytes: number | undefined;
  /** REQUEST_SECONDS, MUTATION_SECONDS: how long an operation may take; 0 = as long as it wants. */
  readonly requestSeconds: number | undefined;
  readonly mutationSeconds: number | undefined;
  /** CONNECTIONS: of clients, at once. DATABASE_CONNECTIONS: to PostgreSQL, at most. */
  readonly connections: number | undefined;
  readonly databaseConnections: number | undefined;
  /** DRAIN_SECONDS: how long /ready says 503 before the server stops; SHUTDOWN_SECONDS: how long requests under way may then take. */
  readonly drainSeconds: number | undefined;
  readonly shutdownSeconds: number | undefined;
  /** MAX_COST, MAX_DEPTH: of one operation. */
  readonly maxCost: number | undefined;
  readonly maxDepth: number | undefined;
  /** SAFELIST: a file of the only operations that run. */
  readonly safelist: string | undefined;
  /** METRICS: whether GET /metrics shows anything, and whether to all who ask; otherwise to keys of the scope admin, and where nobody needs a key. */
  readonly metrics: boolean;
  readonly metricsOpen: boolean;
  /** OTEL_EXPORTER_OTLP_ENDPOINT: where traces go; OTEL_SERVICE_NAME: as whose. */
  readonly traces: string | undefined;
  readonly serviceName: string;
}

/** A search server beside the database; without one PostgreSQL searches. */
export interface SearchConfig {
  /** MEILI_URL: a Meilisearch server, e.g. http://127.0.0.1:7700. */
  readonly url: string | undefined;
  /** MEILI_KEY: never shown; must allow search, and for the outbox and `index` documents, indexes, settings and tasks. */
  readonly key: string | undefined;
  /** MEILI_INDEX: name of the index; default features. */
  readonly index: string;
}

/** Language models that write and judge descriptions. Nothing here is needed: the pattern explainer asks none. */
export interface LanguageModelConfig {
  /** OPENAI_BASE_URL: an OpenAI-compatible server, e.g. http://127.0.0.1:8000/v1; undefined = the hosted one, when there is a key. */
  readonly baseUrl: string | undefined;
  /** OPENAI_API_KEY: never shown; servers of one's own mostly need none. */
  readonly apiKey: string | undefined;
  /** EXPLAIN_MODEL: who writes descriptions: a model of that server, or local:FOLDER. */
  readonly explainModel: string | undefined;
  /** JUDGE_MODEL: who judges them; undefined = the one that writes. */
  readonly judgeModel: string | undefined;
  /** EMBEDDING_MODEL: for the embedding scorer, and for search by meaning where there is a MEILI_URL. */
  readonly embeddingModel: string | undefined;
}

export const DEVICES = ['cpu', 'cuda', 'webgpu', 'auto'] as const;
export type Device = (typeof DEVICES)[number];

const blankAsUnset = (value: unknown): unknown => (value === '' ? undefined : value);
const optional = <T extends z.ZodType>(type: T) => z.preprocess(blankAsUnset, type.optional());

const seconds = optional(z.coerce.number().min(0).max(86_400));
const positive = optional(z.coerce.number().int().min(1).max(2 ** 31 - 1));
const webAddress = (url: string): boolean => URL.canParse(url) && /^https?:$/.test(new URL(url).protocol);
const list = (text: string): readonly string[] => text.split(',').map((entry) => entry.trim()).filter((entry) => entry !== '');

const Environment = z.object({
  CATALOG_HOME: optional(z.string()),
  HOST: optional(z.string()),
  PORT: optional(z.coerce.number().int().min(0).max(65535)),
  DATABASE_URL: optional(
    z.string().refine((url) => /^postgres(ql)?:\/\//.test(url), 'expected postgresql://user:password@host:port/database'),
  ),
  DEVICE: optional(z.enum(DEVICES)),
  WORKERS: optional(z.coerce.number().int().min(1).max(256)),
  LOG_LEVEL: optional(z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])),
  HF_TOKEN: optional(z.string()),
  OPENAI_BASE_URL: optional(z.string().refine((url) => URL.canParse(url) && /^https?:$/.test(new URL(url).protocol), 'expected a URL such as http://127.0.0.1:8000/v1')),
  OPENAI_API_KEY: optional(z.string()),
  EXPLAIN_MODEL: optional(z.string()),
  JUDGE_MODEL: optional(z.string()),
  EMBEDDING_MODEL: optional(z.string()),
  MEILI_URL: optional(z.string().refine((url) => webAddress(url) && new URL(url).password === '' && new URL(url).search === '', 'expected a URL such as http://127.0.0.1:7700, with the key in MEILI_KEY')),
  MEILI_KEY: optional(z.string().regex(/^[\x21-\x7e]+$/, 'expected a key without spaces')),
  MEILI_INDEX: optional(z.string().regex(/^[A-Za-z0-9_-]{1,100}$/, 'expected letters, digits, - and _')),
  READS: optional(z.enum(['open', 'closed'])),
  CORS_ORIGINS: optional(z.string().transform(list).refine((origins) => origins.every((origin) => origin === '*' || (webAddress(origin) && new URL(origin).origin === origin)), 'expected origins such as https://example.org, by commas')),
  HOSTS: optional(z.string().transform(list).refine((hosts) => hosts.length > 0 && hosts.every((host) => /^[\w.:[\]-]+$/.test(host)), 'expected names such as catalog.example.org, by commas')),
  BODY_BYTES: optional(z.coerce.number().int().min(1024).max(2 ** 28)),
  REQUEST_SECONDS: seconds,
  MUTATION_SECONDS: seconds,
  CONNECTIONS: positive,
  DATABASE_CONNECTIONS: positive,
  DRAIN_SECONDS: seconds,
  SHUTDOWN_SECONDS: seconds,
  MAX_COST: positive,
  MAX_DEPTH: positive,
  SAFELIST: optional(z.string()),
  METRICS: optional(z.enum(['on', 'off', 'open'])),
  OTEL_EXPORTER_OTLP_ENDPOINT: optional(z.string().refine(webAddress, 'expected a URL such as http://127.0.0.1:4318')),
  OTEL_SERVICE_NAME: optional(z.string()),
});

/** Reads the environment; throws BAD_CONFIG naming each variable that is wrong (never its value: it may be a secret). */
export function readConfig(environment: Readonly<Record<string, string | undefined>> = process.env): Config {
  const parsed = Environment.safeParse(environment);
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
    throw new CallerError('BAD_CONFIG', `environment: ${problems.join('; ')}`);
  }
  const env = parsed.data;
  return Object.freeze({
    home: resolve(env.CATALOG_HOME ?? '.catalog'),
    host: env.HOST ?? '127.0.0.1',
    port: env.PORT ?? 4000,
    databaseUrl: env.DATABASE_URL,
    device: env.DEVICE ?? 'cpu',
    workers: env.WORKERS,
    logLevel: env.LOG_LEVEL ?? 'info',
    hubToken: env.HF_TOKEN,
    reads: env.READS ?? 'open',
    languageModels: Object.freeze({
      baseUrl: env.OPENAI_BASE_URL,
      apiKey: env.OPENAI_API_KEY,
      explainModel: env.EXPLAIN_MODEL,
      judgeModel: env.JUDGE_MODEL,
      embeddingModel: env.EMBEDDING_MODEL,
    }),
    search: Object.freeze({ url: env.MEILI_URL, key: env.MEILI_KEY, index: env.MEILI_INDEX ?? 'features' }),
    api: Object.freeze({
      corsOrigins: env.CORS_ORIGINS,
      hosts: env.HOSTS,
      bodyBytes: env.BODY_BYTES,
      requestSeconds: env.REQUEST_SECONDS,
      mutationSeconds: env.MUTATION_SECONDS,
      connections: env.CONNECTIONS,
      databaseConnections: env.DATABASE_CONNECTIONS,
      drainSeconds: env.DRAIN_SECONDS,
      shutdownSeconds: env.SHUTDOWN_SECONDS,
      maxCost: env.MAX_COST,
      maxDepth: env.MAX_DEPTH,
      safelist: env.SAFELIST,
      metrics: env.METRICS !== 'off',
      metricsOpen: env.METRICS === 'open',
      traces: env.OTEL_EXPORTER_OTLP_ENDPOINT,
      serviceName: env.OTEL_SERVICE_NAME ?? 'feature-catalog',
    }),
  });
}

/** The configuration as it may be shown: secrets replaced. */
export function describeConfig(config: Config): Readonly<Record<string, unknown>> {
  return {
    ...config,
    databaseUrl: config.databaseUrl === undefined ? 'embedded' : hidePassword(config.databaseUrl),
    hubToken: config.hubToken === undefined ? 'not set' : '***',
    languageModels: {
      ...config.languageModels,
      baseUrl: config.languageModels.baseUrl === undefined ? 'not set' : hidePassword(config.languageModels.baseUrl),
      apiKey: config.languageModels.apiKey === undefined ? 'not set' : '***',
    },
    search: { ...config.search, key: config.search.key === undefined ? 'not set' : '***' },
    api: { ...config.api, traces: config.api.traces === undefined ? 'not set' : hidePassword(config.api.traces) },
  };
}

function hidePassword(url: string): string {
  if (!URL.canParse(url)) return '***';
  const parsed = new URL(url);
  if (parsed.password !== '') parsed.password = '***';
  // A password may also come as a query parameter.
  if (parsed.searchParams.has('password')) parsed.searchParams.set('password', '***');
  return parsed.toString();
}
