import type { ApolloServerPlugin } from '@apollo/server';
import { GraphQLError } from 'graphql';
import type { Logger } from 'pino';
import type { Access, Spent } from '../catalog/access.ts';
import { isMutation } from './answer.ts';
import { chargeOperation } from './authenticate.ts';
import { clientOf } from './client.ts';
import type { Context } from './context.ts';
import { checkOperation, type OperationLimits } from './limits.ts';
import { measureOperation } from './measure.ts';
import { bound, type Safelist } from './safelist.ts';
import { checkVariables } from './variables.ts';

/**
 * Measures each operation before it runs, refuses it above the limits, off the safelist or beyond the key's quota, and reports its cost
 * in `extensions.cost`, with what is left of the quota.
 */
export function limitsPlugin(limits: OperationLimits, safelist?: Safelist, access?: Access): ApolloServerPlugin<Context> {
  return {
    async requestDidStart() {
      let cost: { readonly found: number; readonly allowed: number; readonly nodes: number; readonly depth: number; readonly quota?: Spent } | undefined;
      return {
        async didResolveOperation({ schema, document, operation, operationName, request, contextValue }) {
          // Measured, charged or on the list it cannot be: nothing may run what is not known here.
          if (operation === undefined || operation === null) throw unresolved(request.operationName);
          if (schema.getRootType(operation.operation) === undefined || schema.getRootType(operation.operation) === null) {
            throw new GraphQLError(`this server has no ${operation.operation} operations`, {
              extensions: { code: 'BAD_REQUEST', http: { status: 400 } },
            });
          }
          if (operation.operation === 'subscription') {
            throw new GraphQLError('subscriptions are streamed: POST them to /graphql/stream with "accept: text/event-stream"', {
              extensions: { code: 'BAD_REQUEST', http: { status: 400 } },
            });
          }
          if (bound(contextValue.viewer)) safelist?.check(document, operationName ?? undefined);
          checkVariables(request.variables);
          const measure = measureOperation(schema, document, operation, request.variables ?? {});
          checkOperation(measure, limits);
          cost = { found: measure.cost, allowed: limits.cost, nodes: measure.nodes, depth: measure.depth };
          const quota = await chargeOperation(access, contextValue.viewer, measure.cost);
          if (quota !== null) cost = { ...cost, quota };
          if (operation.operation === 'mutation') isMutation(contextValue);
        },
        async willSendResponse({ response }) {
          if (cost === undefined || response.body.kind !== 'single') return;
          const result = response.body.singleResult;
          result.extensions = { ...result.extensions, cost };
        },
      };
    },
  };
}

/** For a name that no operation of the document has, and for none where there are several. */
function unresolved(name: string | undefined): GraphQLError {
  const message = name === undefined ? 'the document holds several operations: say which by operationName' : `the document holds no operation named ${JSON.stringify(name)}`;
  return new GraphQLError(message, { extensions: { code: 'OPERATION_RESOLUTION_FAILURE', http: { status: 400 } } });
}

/** The header Retry-After, in whole seconds, on an answer with an error that says when to try again. */
export function retryPlugin(): ApolloServerPlugin<Context> {
  return {
    async requestDidStart() {
      return {
        async willSendResponse({ response }) {
          if (response.body.kind !== 'single') return;
          const seconds = (response.body.singleResult.errors ?? []).map(({ extensions }) => extensions?.['retryAfterSeconds']).filter((value) => typeof value === 'number');
          if (seconds.length > 0) response.http.headers.set('retry-after', String(Math.ceil(Math.max(...seconds))));
        },
      };
    },
  };
}

/** One structured line per operation: what ran, for whom, how long, at what cost, with which error codes. Never variables or answers. */
export function logPlugin(log: Logger): ApolloServerPlugin<Context> {
  return {
    async requestDidStart() {
      const start = performance.now();
      return {
        async willSendResponse({ operation, operationName, queryHash, request, response, contextValue }) {
          const result = response.body.kind === 'single' ? response.body.singleResult : undefined;
          log.info(
            {
              request: request.http?.headers.get('x-request-id') ?? null,
              client: clientOf(request.http?.headers),
              key: contextValue.viewer.keyId,
              viewer: contextValue.viewer.name,
              operation: operationName ?? null,
              kind: operation?.operation ?? null,
              hash: queryHash?.slice(0, 16) ?? null,
              cost: (result?.extensions?.['cost'] as { found: number } | undefined)?.found ?? null,
              ms: Math.round((performance.now() - start) * 100) / 100,
              errors: result?.errors?.map((error) => error.extensions?.['code'] ?? 'UNKNOWN') ?? [],
            },
            'operation',
          );
        },
      };
    },
  };
}
