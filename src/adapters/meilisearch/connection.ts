import { Meilisearch, MeilisearchApiError, MeilisearchRequestTimeOutError } from 'meilisearch';
import { z } from 'zod';
import { OutsideError } from '../../domain/errors.ts';

export interface MeiliOptions {
  /** http or https, without a password. */
  readonly url: string;
  /** A key of the server's that may do what is asked; undefined for a server without keys. */
  readonly key: string | undefined;
  /** Name of the index; default `features`. Half-built ones are named after it. */
  readonly index?: string | undefined;
  /** For an answer to a search; default 1,500 ms. */
  readonly searchTimeoutMs?: number | undefined;
  /** For an answer to anything else; default 30,000 ms. */
  readonly timeoutMs?: number | undefined;
}

/** What the search server, or the way to it, did wrong; never with the key or the answer's text in it. */
export class MeiliFailure extends OutsideError {
  /** The server's own code, e.g. index_not_found; null when the answer was none of its own. */
  readonly code: string | null;

  constructor(message: string, code: string | null = null) {
    super('meilisearch', message);
    this.code = code;
  }
}

const ApiCause = z.object({ code: z.string().max(100), message: z.string() });

export interface Question {
  readonly path: string;
  readonly body?: object;
  readonly params?: Readonly<Record<string, string | number>>;
  readonly timeoutMs?: number;
}

/** Requests to one Meilisearch server; every answer is checked. */
export class MeiliConnection {
  readonly #url: string;
  readonly #key: string | undefined;
  readonly #timeoutMs: number;
  readonly #clients = new Map<number, Meilisearch>();

  constructor({ url, key, timeoutMs = 30_000 }: MeiliOptions) {
    this.#url = url;
    this.#key = key;
    this.#timeoutMs = timeoutMs;
  }

  async ask<T>(method: 'get' | 'post' | 'patch' | 'delete', schema: z.ZodType<T>, { path, body, params, timeoutMs = this.#timeoutMs }: Question): Promise<T> {
    const http = this.#client(timeoutMs).httpRequest;
    let answer: unknown;
    try {
      answer = await http[method]({ path, ...(body === undefined ? {} : { body }), ...(params === undefined ? {} : { params: { ...params } }) });
    } catch (error) {
      throw failureOf(error, timeoutMs);
    }
    const parsed = schema.safeParse(answer);
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      throw new MeiliFailure(`the answer is not one of Meilisearch: ${issue?.path.join('.') || 'the whole'}: ${issue?.message ?? 'unknown'}`);
    }
    return parsed.data;
  }

  /** The client has one time limit for all its requests: one client for each. */
  #client(timeoutMs: number): Meilisearch {
    let client = this.#clients.get(timeoutMs);
    if (client === undefined) {
      client = new Meilisearch({ host: this.#url, timeout: timeoutMs, ...(this.#key === undefined ? {} : { apiKey: this.#key }) });
      this.#clients.set(timeoutMs, client);
    }
    return client;
  }
}

function failureOf(error: unknown, timeoutMs: number): MeiliFailure {
  if (error instanceof MeilisearchApiError) {
    const cause = ApiCause.safeParse(error.cause);
    const { status } = error.response;
    if (!cause.success) return new MeiliFailure(`the server answered with status ${status}`);
    return new MeiliFailure(`the server refused: ${cause.data.message.slice(0, 500)} (${cause.data.code})`, cause.data.code);
  }
  const cause: unknown = error instanceof Error ? error.cause : undefined;
  if (error instanceof MeilisearchRequestTimeOutError || cause instanceof MeilisearchRequestTimeOutError) return new MeiliFailure(`no answer within ${timeoutMs} ms`);
  if (error instanceof SyntaxError) return new MeiliFailure('the answer is not JSON');
  // What fetch says lies one deeper, and names no secret: ECONNREFUSED 127.0.0.1:7700.
  const reason = cause instanceof Error ? (cause.cause instanceof Error ? cause.cause.message : cause.message) : '';
  return new MeiliFailure(`the server cannot be reached${reason === '' ? '' : `: ${reason.slice(0, 200)}`}`);
}
