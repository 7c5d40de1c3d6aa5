import type { DocumentTypeDecoration } from '@graphql-typed-document-node/core';
import { OutsideError, catalogError, failure, type CatalogError, type GraphQLFailure, type UserError } from './errors.ts';
import { events } from './events.ts';

/** An operation with the types of its answer and its variables; a plain string has any. */
export type Operation<Data, Variables> = DocumentTypeDecoration<Data, Variables> & { toString(): string };

export interface ClientOptions {
  /** Of the GraphQL endpoint, e.g. http://127.0.0.1:4000/graphql. */
  readonly url: string;
  /** A key of the server's `keys` command; none where reads are open. */
  readonly key?: string;
  /** How often a request is sent again that the server had no room for; 3 when absent. */
  readonly retries?: number;
  /** Longest that one such wait may take, in seconds; what asks for longer is not sent again. 60 when absent. */
  readonly longestWait?: number;
  /** Instead of the global fetch. */
  readonly fetch?: typeof fetch;
}

export interface RequestOptions {
  readonly signal?: AbortSignal;
}

export interface CatalogClient {
  /** Data of an operation; throws a CatalogError. Sent again after BUSY, 429 and 503, when the answer says when. */
  request<Data, Variables>(operation: Operation<Data, Variables>, variables: Variables, options?: RequestOptions): Promise<Data>;
  /** Data of each event of a subscription; leaving the loop ends it. */
  subscribe<Data, Variables>(operation: Operation<Data, Variables>, variables: Variables, options?: RequestOptions): AsyncIterableIterator<Data>;
}

interface Answer {
  readonly data?: unknown;
  readonly errors?: readonly GraphQLFailure[];
}

export function createClient({ url, key, retries = 3, longestWait = 60, fetch: send = fetch }: ClientOptions): CatalogClient {
  const post = async (target: string, body: string, accept: string, signal: AbortSignal | undefined): Promise<Response> => {
    try {
      return await send(target, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept, ...(key === undefined ? {} : { authorization: `Bearer ${key}` }) },
        body,
        ...(signal === undefined ? {} : { signal }),
      });
    } catch (cause) {
      throw unreachable(target, cause, signal);
    }
  };
  /** The answer, or the wait in seconds after which it is worth asking again with the error to throw if not. */
  const attempt = async (body: string, signal: AbortSignal | undefined): Promise<{ data: unknown } | { error: CatalogError }> => {
    const response = await post(url, body, 'application/graphql-response+json, application/json', signal);
    const { status } = response;
    const retryAfter = secondsOf(response.headers.get('retry-after'));
    const text = await response.text().catch((cause: unknown) => {
      throw unreachable(url, cause, signal);
    });
    const answer = parsed(text);
    if (answer?.errors !== undefined && answer.errors.length > 0) return { error: failure(answer.errors, status, retryAfter) };
    if (answer?.data === undefined || answer.data === null) {
      return { error: catalogError(`${url} answered HTTP ${status} and no GraphQL: ${text.slice(0, 100)}`, { code: status === 429 ? 'BUSY' : 'BAD_ANSWER', status, retryAfterSeconds: retryAfter }) };
    }
    return { data: answer.data };
  };
  return {
    async request<Data, Variables>(operation: Operation<Data, Variables>, variables: Variables, { signal }: RequestOptions = {}): Promise<Data> {
      const body = JSON.stringify({ query: operation.toString(), variables });
      for (let left = retries; ; left--) {
        const result = await attempt(body, signal);
        const wait = 'error' in result ? waitOf(result.error) : busyFor(result.data);
        if (wait === null || left <= 0 || wait > longestWait) {
          if ('error' in result) throw result.error;
          return result.data as Data;
        }
        await sleep(wait, signal);
      }
    },
    async *subscribe<Data, Variables>(operation: Operation<Data, Variables>, variables: Variables, { signal }: RequestOptions = {}): AsyncGenerator<Data, void, undefined> {
      const target = `${url.replace(/\/$/, '')}/stream`;
      const response = await post(target, JSON.stringify({ query: operation.toString(), variables }), 'text/event-stream', signal);
      if (!response.ok || response.body === null || !(response.headers.get('content-type') ?? '').startsWith('text/event-stream')) {
        const text = await response.text();
        const errors = parsed(text)?.errors;
        const retryAfter = secondsOf(response.headers.get('retry-after'));
        if (errors !== undefined && errors.length > 0) throw failure(errors, response.status, retryAfter);
        throw catalogError(`${target} answered HTTP ${response.status} and no events: ${text.slice(0, 100)}`, { code: 'BAD_ANSWER', status: response.status, retryAfterSeconds: retryAfter });
      }
      let complete = false;
      try {
        for await (const { event, data } of events(response.body)) {
          if (event === 'complete') {
            complete = true;
            return;
          }
          if (event !== 'next') continue;
          const answer = parsed(data);
          if (answer?.errors !== undefined && answer.errors.length > 0) throw failure(answer.errors, response.status, undefined);
          if (answer?.data !== undefined && answer.data !== null) yield answer.data as Data;
        }
      } catch (error) {
        throw error instanceof Error && 'code' in error && 'errors' in error ? error : unreachable(target, error, signal);
      }
      if (!complete) throw new OutsideError(`${target}: the stream ended before its last event`, { code: 'UNREACHABLE' });
    },
  };
}

function parsed(text: string): Answer | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : null;
  } catch {
    // No JSON: the caller says what was answered instead.
    return null;
  }
}

function unreachable(target: string, cause: unknown, signal: AbortSignal | undefined): OutsideError {
  const aborted = signal?.aborted === true;
  return new OutsideError(aborted ? `the request to ${target} was called off` : `no answer from ${target}: ${cause instanceof Error ? cause.message : String(cause)}`, { code: aborted ? 'ABORTED' : 'UNREACHABLE', cause });
}

function secondsOf(header: string | null): number | undefined {
  return header !== null && /^\d+$/.test(header.trim()) ? Number(header) : undefined;
}

/** Seconds until it is worth asking again; null where it is not. */
function waitOf({ code, status, retryAfterSeconds }: CatalogError): number | null {
  if (code === 'BUSY') return retryAfterSeconds ?? 1;
  return (status === 429 || status === 503) && retryAfterSeconds !== undefined ? retryAfterSeconds : null;
}

/** The same of a mutation that answers with a payload: when its one user error is BUSY. */
function busyFor(data: unknown): number | null {
  if (typeof data !== 'object' || data === null) return null;
  for (const payload of Object.values(data) as ({ readonly userErrors?: readonly UserError[] } | null)[]) {
    const busy = payload?.userErrors?.find(({ code }) => code === 'BUSY');
    if (busy !== undefined) return busy.retryAfterSeconds ?? 1;
  }
  return null;
}

function sleep(seconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(unreachable('the catalog', signal?.reason, signal));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, 1000 * seconds);
    if (signal?.aborted === true) stop();
    else signal?.addEventListener('abort', stop, { once: true });
  });
}
