import type { ApolloServerPlugin } from '@apollo/server';
import type { Context } from './context.ts';

/** What is wrong with an operation rather than with the request that carries it. */
const OF_OPERATIONS = new Set(['GRAPHQL_PARSE_FAILED', 'GRAPHQL_VALIDATION_FAILED', 'BAD_USER_INPUT', 'OPERATION_RESOLUTION_FAILURE', 'LIMIT_EXCEEDED']);

/**
 * A client that asks for `application/json` by name and does not know `application/graphql-response+json` is told of wrong operations
 * with status 200, as GraphQL over HTTP asks for (section 6.4.1): by 4xx it could not tell the server's answer from a proxy's. All
 * others get the 400.
 */
export function statusPlugin(): ApolloServerPlugin<Context> {
  return {
    async requestDidStart() {
      return {
        async willSendResponse({ request, response }) {
          const { http, body } = response;
          if (http.status !== 400 || body.kind !== 'single' || !asksForJson(request.http?.headers.get('accept') ?? '')) return;
          const codes = (body.singleResult.errors ?? []).map(({ extensions }) => extensions?.['code']);
          if (codes.length > 0 && codes.every((code) => OF_OPERATIONS.has(String(code)))) http.status = 200;
        },
      };
    },
  };
}

function asksForJson(accept: string): boolean {
  return /\bapplication\/json\b/i.test(accept) && !/graphql-response/i.test(accept);
}
