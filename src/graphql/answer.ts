import type { ApolloServer } from '@apollo/server';
import { HeaderMap } from '@apollo/server';
import type { Request, Response } from 'express';
import type { Context } from './context.ts';
import type { HttpSettings } from './settings.ts';

/** Operations under way whose kind is a mutation: those have more time. */
const mutations = new WeakSet<Context>();

/** To be told when an operation turns out to be a mutation. */
export function isMutation(context: Context): void {
  mutations.add(context);
}

/**
 * Hands requests to Apollo and its answers to express. An operation that takes longer than it may is answered TIMED_OUT; what it still
 * asks of the database ends there by the same limit (statement_timeout), and its answer, when it comes, is dropped.
 */
export function answer(apollo: ApolloServer<Context>, settings: HttpSettings, makeContext: (request: Request) => Promise<Context>, expired: (seconds: number) => void): (request: Request, response: Response) => Promise<void> {
  return async (request: Request, response: Response): Promise<void> => {
    let context: Context | undefined;
    let over = false;
    let timer: NodeJS.Timeout | undefined;
    const started = performance.now();
    const expire = (): void => {
      const allowed = context !== undefined && mutations.has(context) ? settings.mutationSeconds : settings.requestSeconds;
      if (allowed === 0) return;
      const left = allowed * 1000 - (performance.now() - started);
      if (left > 1) {
        timer = setTimeout(expire, left);
        return;
      }
      over = true;
      expired((performance.now() - started) / 1000);
      refuse(response, request, `the operation took longer than ${allowed} s and was given up: ask for less at once, or try again later`);
    };
    if (settings.requestSeconds > 0) timer = setTimeout(expire, settings.requestSeconds * 1000);
    try {
      const { status, headers, body } = await apollo.executeHTTPGraphQLRequest({
        httpGraphQLRequest: { method: request.method.toUpperCase(), headers: headersOf(request), search: searchOf(request.url), body: request.body as unknown },
        context: async () => (context = await makeContext(request)),
      });
      if (over || response.headersSent) return;
      for (const [name, value] of headers) response.setHeader(name, value);
      response.statusCode = status ?? 200;
      if (body.kind === 'complete') response.send(body.string);
      else for await (const chunk of body.asyncIterator) response.write(chunk);
      if (!response.writableEnded) response.end();
    } catch (error) {
      // After its time is over nobody waits for an answer: Apollo has logged what failed.
      if (!over) throw error;
    } finally {
      clearTimeout(timer);
    }
  };
}

function refuse(response: Response, request: Request, message: string): void {
  if (response.headersSent) return;
  const type = request.accepts(['application/json', 'application/graphql-response+json']);
  response.status(200).set({ 'Content-Type': `${type === false ? 'application/json' : type}; charset=utf-8`, 'Cache-Control': 'no-store' });
  response.send(JSON.stringify({ data: null, errors: [{ message, extensions: { code: 'TIMED_OUT' } }] }));
}

function headersOf(request: Request): HeaderMap {
  const headers = new HeaderMap();
  for (const [name, value] of Object.entries(request.headers)) {
    if (value !== undefined) headers.set(name, Array.isArray(value) ? value.join(', ') : value);
  }
  return headers;
}

/** From the question mark on. */
function searchOf(url: string): string {
  const start = url.indexOf('?');
  return start < 0 ? '' : url.slice(start);
}
