import type { Request, Response } from 'express';
import { getOperationAST, GraphQLError, Kind, OperationTypeNode, parse, validate, type DocumentNode, type SelectionSetNode, type GraphQLFormattedError, type GraphQLSchema, type OperationDefinitionNode } from 'graphql';
import { createHandler } from 'graphql-sse';
import type { Logger } from 'pino';
import type { Access } from '../catalog/access.ts';
import { LIMITS } from '../catalog/limits.ts';
import { requireScope } from '../catalog/viewerCatalog.ts';
import { CallerError, messageOf } from '../domain/errors.ts';
import { chargeOperation, checkStill, visitOn } from './authenticate.ts';
import { clientOf } from './client.ts';
import { createStreamContext, type Context } from './context.ts';
import { statusOf } from './errors.ts';
import { Tally, writeEvents } from './eventFlow.ts';
import { checkOperation, MAX_TOKENS, type OperationLimits } from './limits.ts';
import { measureOperation } from './measure.ts';
import { bound, type Safelist } from './safelist.ts';
import { checkVariables } from './variables.ts';

export interface StreamOptions {
  readonly access?: Access;
  readonly schema: GraphQLSchema;
  readonly limits: OperationLimits;
  readonly log: Logger;
  readonly formatError: (formatted: GraphQLFormattedError, error: unknown) => GraphQLFormattedError;
  readonly safelist?: Safelist;
  /** Subscriptions at once. */
  readonly streams?: number;
}

/** What a stream's own handler needs of its request: graphql-sse asks for an object with any keys. */
type StreamContext = Context & Record<PropertyKey, unknown>;

export interface StreamHandler {
  handle(request: Request, response: Response): Promise<void>;
  /** Cuts all open streams off, as if their clients had gone: they may last longer, or read slower, than a server that stops can wait. */
  close(): void;
  /** Streams open now. */
  open(): number;
}

/**
 * POST /graphql/stream: subscriptions by the GraphQL-over-SSE protocol, one connection each. Schema, limits and the shape of errors
 * are those of /graphql. When the client goes away its operation ends.
 */
export function streamHandler({ access, schema, limits, log, formatError, safelist, streams = LIMITS.streams }: StreamOptions): StreamHandler {
  const open = new Set<Response>();
  const refuse = (response: Response, status: number, error: unknown): void => {
    const formatted = formatError(error instanceof GraphQLError ? error.toJSON() : { message: messageOf(error) }, error);
    const retryAfter = formatted.extensions?.['retryAfterSeconds'];
    if (typeof retryAfter === 'number') response.set('Retry-After', String(Math.ceil(retryAfter)));
    response.status(status).json({ errors: [formatted] });
  };
  const handle = async (request: Request, response: Response): Promise<void> => {
    if (request.method !== 'POST' || request.headers['accept'] !== 'text/event-stream' || request.is('application/json') === false) {
      return refuse(response, 400, badRequest('subscriptions are POSTed as JSON with "accept: text/event-stream"'));
    }
    let read: { readonly document: DocumentNode; readonly operation: OperationDefinitionNode; readonly cost: number };
    try {
      read = readOperation(schema, limits, bound(visitOn(request).viewer) ? safelist : undefined, request.body as unknown);
    } catch (error) {
      return refuse(response, error instanceof GraphQLError ? statusOf(error, 400) : 400, error);
    }
    // Its close would never be told again, and its place never be free.
    if (response.closed) return;
    if (open.size >= streams) return refuse(response, 503, new CallerError('BUSY', `${open.size} subscriptions are open: try again in ${RETRY_SECONDS} s`, { retryAfterSeconds: RETRY_SECONDS }));
    const { viewer, catalog } = visitOn(request);
    open.add(response);
    try {
      requireScope(viewer, 'patch', 'running a model');
      await chargeOperation(access, viewer, read.cost);
    } catch (error) {
      open.delete(response);
      return refuse(response, refusalStatus(error), error);
    }
    // The client may have gone meanwhile.
    if (response.closed) {
      open.delete(response);
      return;
    }
    const gone = new AbortController();
    const sent = new Tally();
    response.once('close', () => {
      open.delete(response);
      sent.end();
      gone.abort(new Error('the client has gone'));
    });
    // A long stream goes on for those alone who may still have it.
    const leave = async (count: number): Promise<void> => {
      await sent.reached(count);
      await checkStill(access, request);
    };
    const started = performance.now();
    let events = 0;
    const handler = createHandler<Request, undefined, StreamContext>({
      schema,
      authenticate: () => null,
      context: () => createStreamContext(catalog, { signal: gone.signal, sent: leave }, viewer) as StreamContext,
      // Read and measured already.
      onSubscribe: (_, { operationName, variables }) => ({
        schema,
        document: read.document,
        operationName,
        variableValues: variables,
        contextValue: createStreamContext(catalog, { signal: gone.signal, sent: leave }, viewer) as StreamContext,
      }),
      validate: () => [],
      onNext: (_, __, result) => {
        events++;
        if (!('errors' in result) || result.errors === undefined) return undefined;
        // Formatted errors are what is sent, whatever the type says.
        return { ...result, errors: result.errors.map((error) => formatError(error.toJSON(), error)) as unknown as readonly GraphQLError[] };
      },
    });
    const [body, { status, headers }] = await handler({
      method: request.method,
      url: request.url,
      headers: { get: (name) => request.headers[name]?.toString() },
      body: request.body as Record<string, unknown>,
      raw: request,
      context: undefined,
    });
    response.writeHead(status, headers);
    if (body === null || typeof body === 'string') {
      response.end(body);
      return;
    }
    response.once('close', () => void body.return());
    try {
      await writeEvents(body, response, (count) => sent.set(count));
    } finally {
      response.end();
      log.info({ request: request.headers['x-request-id'], client: clientOf({ get: (name) => request.headers[name]?.toString() }), key: viewer.keyId, viewer: viewer.name, operation: read.operation.name?.value ?? null, kind: 'subscription', cost: read.cost, events, ms: Math.round(performance.now() - started), left: response.destroyed }, 'operation');
    }
  };
  return {
    handle,
    open: () => open.size,
    close: () => {
      for (const response of open) response.destroy();
    },
  };
}

/** Of what was refused for who asks, or for what it costs them. */
function refusalStatus(error: unknown): number {
  if (error instanceof CallerError) return error.code === 'UNAUTHENTICATED' ? 401 : 403;
  return error instanceof GraphQLError ? statusOf(error, 400) : 503;
}

/** When a client that finds all streams taken may come back. */
const RETRY_SECONDS = 5;

/** The subscription a body holds, checked and measured; throws GraphQLError, the first thing wrong with it. */
function readOperation(schema: GraphQLSchema, limits: OperationLimits, safelist: Safelist | undefined, body: unknown): { document: DocumentNode; operation: OperationDefinitionNode; cost: number } {
  const { query, operationName, variables } = (typeof body === 'object' && body !== null ? body : {}) as { readonly [key: string]: unknown };
  if (typeof query !== 'string') throw badRequest('expected a JSON body like {"query": "subscription …", "variables": {…}}');
  const document = parse(query, { maxTokens: MAX_TOKENS });
  const [wrong] = validate(schema, document, undefined, { maxErrors: 10 });
  if (wrong !== undefined) throw wrong;
  const operation = getOperationAST(document, typeof operationName === 'string' ? operationName : undefined);
  if (operation?.operation !== OperationTypeNode.SUBSCRIPTION) throw badRequest('here are subscriptions only: queries and mutations are answered at /graphql');
  if (conditional(document, operation.selectionSet)) throw badRequest('a subscription cannot be skipped or included: leave @skip and @include to the fields inside it');
  safelist?.check(document, typeof operationName === 'string' ? operationName : undefined);
  checkVariables(variables);
  const measure = measureOperation(schema, document, operation, (typeof variables === 'object' && variables !== null ? variables : {}) as Readonly<Record<string, unknown>>);
  checkOperation(measure, limits);
  return { document, operation, cost: measure.cost };
}

/** Whether a root field, or a fragment around it, may be left out, which would leave nothing to subscribe to (GraphQL, section 5.2.4.1). */
function conditional(document: DocumentNode, set: SelectionSetNode): boolean {
  return set.selections.some((selection) => {
    if (selection.directives?.some(({ name }) => name.value === 'skip' || name.value === 'include') === true) return true;
    if (selection.kind === Kind.INLINE_FRAGMENT) return conditional(document, selection.selectionSet);
    if (selection.kind !== Kind.FRAGMENT_SPREAD) return false;
    // Validated: fragments exist, and none spreads itself.
    const fragment = document.definitions.find((node) => node.kind === Kind.FRAGMENT_DEFINITION && node.name.value === selection.name.value);
    return fragment?.kind === Kind.FRAGMENT_DEFINITION && conditional(document, fragment.selectionSet);
  });
}

function badRequest(message: string): GraphQLError {
  return new GraphQLError(message, { extensions: { code: 'BAD_REQUEST' } });
}
