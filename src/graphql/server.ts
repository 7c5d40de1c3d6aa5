import type { Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ApolloServer, type ApolloServerOptions } from '@apollo/server';
import { ApolloServerPluginCacheControlDisabled, ApolloServerPluginLandingPageDisabled } from '@apollo/server/plugin/disabled';
import { ApolloServerPluginDrainHttpServer } from '@apollo/server/plugin/drainHttpServer';
import type { GraphQLSchema } from 'graphql';
import express, { type NextFunction, type Request, type Response } from 'express';
import type { Logger } from 'pino';
import type { Access } from '../catalog/access.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { CallerError, OutsideError } from '../domain/errors.ts';
import type { ShownMeters } from '../ports/Meters.ts';
import type { Tracer } from '../ports/Tracer.ts';
import { answer } from './answer.ts';
import { adminsOnly, authenticate, visitOn } from './authenticate.ts';
import { createContext, type Context } from './context.ts';
import { clearSameSite } from './crossSite.ts';
import { errorFormatter } from './errors.ts';
import { createExecutor, type Executor, type ExecutorOptions } from './execute.ts';
import { front } from './front.ts';
import { healthPages } from './health.ts';
import { idePages } from './ide.ts';
import { MAX_TOKENS, OPERATION_LIMITS, type OperationLimits } from './limits.ts';
import { listener } from './listener.ts';
import { metricsPage, metricsPlugin, serverMeters } from './metrics.ts';
import { persistedDocuments } from './persisted.ts';
import { limitsPlugin, logPlugin, retryPlugin } from './plugins.ts';
import { refuseRepetition } from './repetition.ts';
import type { Safelist } from './safelist.ts';
import { makeSchema } from './schema.ts';
import { HTTP_SETTINGS, type HttpSettings } from './settings.ts';
import { statusPlugin } from './status.ts';
import { streamHandler } from './stream.ts';
import { traced } from './traced.ts';

export interface ServerOptions {
  readonly catalog: Catalog;
  /** Who may do what, and what it costs them; without it everybody is the owner. */
  readonly access?: Access;
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
  readonly log: Logger;
  readonly limits?: OperationLimits;
  readonly http?: Partial<HttpSettings>;
  /** The operations this server runs; without it, any within the limits. */
  readonly safelist?: Safelist;
  /** Shown at GET /metrics. */
  readonly meters?: ShownMeters;
  readonly tracer?: Tracer;
  readonly execution?: ExecutorOptions;
}

export interface RunningServer {
  /** Of the GraphQL endpoint, e.g. `http://127.0.0.1:4000/graphql`. */
  readonly url: string;
  /** Says 503 at /ready, then stops taking requests, cuts streams off, finishes what else is under way (for shutdownSeconds at most), then resolves. */
  close(): Promise<void>;
}

/** Serves the catalog over HTTP: POST and GET /graphql, subscriptions at POST /graphql/stream, the IDE page, /health, /ready and /metrics. */
export async function createServer(options: ServerOptions): Promise<RunningServer> {
  const { access, catalog, log } = options;
  const settings = { ...HTTP_SETTINGS, ...options.http };
  const app = express();
  const http = listener(settings, app);
  const formatError = errorFormatter(log);
  const limits = options.limits ?? OPERATION_LIMITS;
  const { meters, safelist } = options;
  const measured = meters === undefined ? undefined : serverMeters(meters, catalog, safelist?.names);
  const schema = await makeSchema();
  const apollo = new ApolloServer<Context>({
    gateway: executing(schema, createExecutor(schema, options.execution)),
    introspection: true,
    csrfPrevention: true,
    includeStacktraceInErrorResponses: false,
    maxRecursiveSelections: true,
    persistedQueries: { cache: persistedDocuments(options.safelist) },
    stopOnTerminationSignals: false,
    parseOptions: { maxTokens: MAX_TOKENS },
    formatError,
    logger: log,
    plugins: [
      ApolloServerPluginLandingPageDisabled(),
      // On by default, and it wraps every resolver of the schema for hints this schema does not have.
      ApolloServerPluginCacheControlDisabled(),
      ApolloServerPluginDrainHttpServer({ httpServer: http, stopGracePeriodMillis: settings.shutdownSeconds * 1000 }),
      // Answers pass through the last plugin last: the log sees the cost.
      limitsPlugin(limits, options.safelist, access),
      statusPlugin(),
      retryPlugin(),
      logPlugin(log),
      ...(measured === undefined ? [] : [metricsPlugin(measured)]),
    ],
  });
  await apollo.start();
  app.disable('x-powered-by');
  app.set('etag', false);
  app.use(front(options.host, settings));
  let draining = false;
  app.use(healthPages(catalog, () => draining));
  if (meters !== undefined) app.use(metricsPage(meters, settings.metricsOpen ? [] : [authenticate(catalog, access), adminsOnly]));
  app.use(idePages(catalog, access));
  const streams = streamHandler({ schema, limits, log, formatError, ...(access === undefined ? {} : { access }), ...(safelist === undefined ? {} : { safelist }) });
  meters?.gauge('streams_open', 'Subscriptions under way.', () => streams.open());
  const body = express.json({ limit: settings.bodyBytes });
  app.use('/graphql', authenticate(catalog, access));
  app.use('/graphql/stream', body, emptyBody, refuseRepetition, streams.handle);
  const expired = (seconds: number): void => {
    measured?.operation('expired', null, 'timed_out', seconds, undefined);
    log.warn({ ms: Math.round(seconds * 1000) }, 'an operation took longer than it may');
  };
  const context = async (request: Request): Promise<Context> => {
    const visit = visitOn(request);
    return createContext(visit.catalog, visit.viewer);
  };
  app.use('/graphql', body, emptyBody, refuseRepetition, clearSameSite, traced(options.tracer, answer(apollo, settings, context, expired)));
  app.use((_request, response) => {
    response.status(404).json({ errors: [{ message: 'nothing here: the API is at /graphql', extensions: { code: 'NOT_FOUND' } }] });
  });
  app.use(failures(log));
  try {
    await listen(http, options);
  } catch (error) {
    await apollo.stop();
    throw error;
  }
  const { port } = http.address() as AddressInfo;
  const close = async (): Promise<void> => {
    draining = true;
    // Whoever balances load sees /ready fail, and sends no more, before connections are refused.
    await new Promise((resolve) => setTimeout(resolve, settings.drainSeconds * 1000));
    streams.close();
    await apollo.stop();
    meters?.close();
  };
  const host = options.host.includes(':') ? `[${options.host}]` : options.host;
  return { url: `http://${host}:${port}/graphql`, close };
}

/** Apollo runs operations by an executor of ours in the way it lets a gateway run them: there is none. */
function executing(schema: GraphQLSchema, run: Executor): NonNullable<ApolloServerOptions<Context>['gateway']> {
  return {
    onSchemaLoadOrUpdate(loaded) {
      loaded({ apiSchema: schema, coreSupergraphSdl: '' });
      return () => undefined;
    },
    load: async () => ({ executor: ({ document, operationName, request, context }) => run({ document, operationName, variables: request.variables, context: context as Context }) }),
    stop: async () => undefined,
  };
}

/** express leaves the body undefined where there is none or its type is not JSON; Apollo answers such requests itself. */
function emptyBody(request: Request, _response: Response, next: NextFunction): void {
  request.body ??= {};
  next();
}

/** Bodies that are too large, broken or cut off, and what failed outside of GraphQL, in the shape of a GraphQL answer. */
function failures(log: Logger) {
  // Four parameters make it an error handler.
  return (error: unknown, _request: Request, response: Response, next: NextFunction): void => {
    if (response.headersSent) return next(error);
    const status = statusOf(error);
    if (status >= 500) log.error({ err: error }, 'a request failed');
    const message =
      status === 413
        ? 'the request body is too large'
        : status >= 500
          ? 'something failed on this server; see its log'
          : 'the request body could not be read: expected JSON like {"query": "{ server { version } }"}';
    const code = status === 413 ? 'LIMIT_EXCEEDED' : status === 503 ? 'SERVICE_UNAVAILABLE' : status >= 500 ? 'INTERNAL_SERVER_ERROR' : 'BAD_REQUEST';
    response.status(status).json({ errors: [{ message, extensions: { code } }] });
  };
}

function statusOf(error: unknown): number {
  if (error instanceof OutsideError) return 503;
  const status = error instanceof Error && 'status' in error ? error.status : 500;
  return typeof status === 'number' && status >= 400 && status < 600 ? status : 500;
}

async function listen(http: HttpServer, { host, port }: ServerOptions): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      http.once('error', reject);
      http.listen(port, host, () => {
        http.off('error', reject);
        resolve();
      });
    });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'EADDRINUSE') {
      throw new CallerError('BAD_CONFIG', `${host}:${port} is in use: set PORT to another port`, { cause: error });
    }
    throw new CallerError('BAD_CONFIG', `cannot listen on ${host}:${port} (${String(code)}): check HOST and PORT`, { cause: error });
  }
}
