import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import OpenAI from 'openai';
import { CallerError, OutsideError, invariant } from '../../domain/errors.ts';
import type { Usage } from '../../ports/ChatModel.ts';
import { judgeFailure, TimedOut, UselessBody, type Asked, type Passing } from './failures.ts';
import { Gate } from './gate.ts';
import { fetchWithPlainErrors } from './plainErrors.ts';
import { backoffMs } from './retryAfter.ts';

export interface ConnectionOptions {
  /** e.g. `https://api.openai.com/v1`, `http://127.0.0.1:8000/v1`. */
  readonly baseUrl: string;
  /** Servers on one's own machine need none. */
  readonly apiKey?: string | null | undefined;
  readonly model: string;
  /** Requests under way at once; default 8. */
  readonly concurrency?: number | undefined;
  /** For a whole answer, from sending to its last byte; default 120,000, at most 300,000 (Node's HTTP client gives up then). */
  readonly timeoutMs?: number | undefined;
  /** Repetitions of a request that failed in a way that may pass; default 8. */
  readonly maxRetries?: number | undefined;
  /** A server that asks to wait longer than this is not waited for; default 10 minutes. */
  readonly longestPauseMs?: number | undefined;
  /** Wait before the first repetition, doubled each time; default 500. */
  readonly backoffMs?: number | undefined;
  /** One line for people when everything waits. */
  readonly say?: ((line: string) => void) | undefined;
  /**
   * Called when a sending failed in a way that the server may charge for (no answer in time, connection broken after sending, answer
   * cut off), before it is sent `again`; `usage` is its upper bound. What it throws ends the request: Budget.lost belongs here.
   */
  readonly onLost?: ((usage: Usage, again: boolean) => Promise<void>) | undefined;
}

export interface Posting<T> {
  /** e.g. `/chat/completions`. */
  readonly path: string;
  readonly body: object;
  /** Number of the repetition after a useless reply: the same body is then another request. */
  readonly attempt: number;
  /** Upper bound of the cost, for onLost. */
  readonly bound: Usage;
  /** Parameters that can be changed where the server refuses them: it is told as ParameterRefused. */
  readonly parameters: readonly string[];
  /** Fewer repetitions than the connection's. */
  readonly maxRetries?: number | undefined;
  /** Makes sense of the answer; throws UselessBody where it has none. */
  readonly read: (answer: unknown) => T;
}

const LONGEST_TIMEOUT_MS = 300_000;
/** A server that was never reached is more likely misspelt than busy. */
const RETRIES_WHEN_NEVER_REACHED = 2;

/**
 * Requests to one server, over the `openai` package: so many at once, repeated where that may help, all held back together where the
 * server asks for it. The package's own repetitions are off, and its timeout ends with the headers, so ours covers the body too; it
 * sends no Idempotency-Key by itself.
 */
export class Connection {
  /** Base URL, for people and identities. */
  readonly server: string;
  /** Requests under way at once. */
  readonly concurrency: number;
  readonly #options: ConnectionOptions;
  readonly #client: OpenAI;
  readonly #gate: Gate;
  readonly #timeoutMs: number;
  readonly #live = new Set<AbortController>();
  /** In ms of performance.now(): nothing is sent before. */
  #pausedUntil = 0;
  #reached = false;
  #closed = false;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.server = checkedUrl(options.baseUrl);
    const apiKey = options.apiKey ?? null;
    const { concurrency = 8, timeoutMs = 120_000 } = options;
    if (!Number.isSafeInteger(concurrency) || concurrency < 1) throw new CallerError('BAD_INPUT', `concurrency: expected a whole number of at least 1, found ${concurrency}`);
    if (!(timeoutMs > 0 && timeoutMs <= LONGEST_TIMEOUT_MS)) throw new CallerError('BAD_INPUT', `timeout: expected up to ${LONGEST_TIMEOUT_MS / 1000} s, found ${timeoutMs / 1000} s; for a slow server lower the concurrency instead`);
    this.#timeoutMs = timeoutMs;
    this.concurrency = concurrency;
    this.#gate = new Gate(concurrency);
    this.#client = new OpenAI({
      baseURL: this.server,
      apiKey: apiKey ?? 'none',
      ...(apiKey === null ? { defaultHeaders: { Authorization: null } } : {}),
      adminAPIKey: null, organization: null, project: null, webhookSecret: null,
      maxRetries: 0, timeout: timeoutMs + 5000, logLevel: 'off', fetch: fetchWithPlainErrors,
    }); // prettier-ignore
  }

  /** Throws CallerError for what repeating cannot help, OutsideError('openai') when all repetitions failed or the connection was closed. */
  async post<T>(posting: Posting<T>): Promise<T> {
    invariant(!this.#closed, 'a request to a closed connection');
    return await this.#gate.through(() => this.#postNow(posting));
  }

  /** Ends what is under way: it throws OutsideError. */
  close(): void {
    this.#closed = true;
    for (const controller of this.#live) controller.abort();
  }

  async #postNow<T>({ path, body, attempt, bound, parameters, maxRetries: fewer, read }: Posting<T>): Promise<T> {
    const { model, maxRetries: most = 8, backoffMs: firstWait = 500, onLost } = this.#options;
    const maxRetries = Math.min(most, fewer ?? most);
    const asked: Asked = { server: this.server, model, path, apiKey: this.#options.apiKey ?? null, parameters };
    const text = JSON.stringify(body);
    const key = createHash('sha256').update(`${this.server}${path} ${attempt} ${text}`).digest('hex');
    for (let failures = 0; ; ) {
      await this.#waitForPause();
      let passing: Passing;
      try {
        const answer = read(await this.#send(path, body, key));
        this.#reached = true;
        return answer;
      } catch (error) {
        if (this.#closed) throw closed(error);
        const judged = judgeFailure(error, asked);
        if (judged instanceof CallerError) {
          this.#reached = true;
          throw judged;
        }
        passing = judged;
      }
      failures++;
      const { unreachable, lost, waitMs } = passing;
      if (!unreachable) this.#reached = true;
      const wait = waitMs ?? backoffMs(failures - 1, firstWait);
      const patient = wait <= (this.#options.longestPauseMs ?? 600_000);
      const again = patient && !passing.hopeless && failures <= (this.#reached ? maxRetries : Math.min(maxRetries, RETRIES_WHEN_NEVER_REACHED));
      if (lost) await onLost?.(bound, again);
      if (!again) throw this.#gaveUp(passing, failures, patient ? null : wait);
      if (passing.everybody) this.#pause(wait, passing.why);
      else await this.#sleep(wait);
    }
  }

  async #send(path: string, body: object, key: string): Promise<unknown> {
    return await this.#abortable(async (signal, abort) => {
      let late = false;
      const timer = setTimeout(() => {
        late = true;
        abort();
      }, this.#timeoutMs);
      try {
        const response = await this.#client.post(path, { body, signal, headers: { 'Idempotency-Key': key } }).asResponse();
        const text = await response.text();
        try {
          return JSON.parse(text) as unknown;
        } catch (cause) {
          throw new UselessBody(`the answer is no JSON (${text.length} characters, ${response.headers.get('content-type') ?? 'no content type'})`, { cause });
        }
      } catch (cause) {
        throw late ? new TimedOut(`no whole answer within ${this.#timeoutMs / 1000} s`, { cause }) : cause;
      } finally {
        clearTimeout(timer);
      }
    });
  }

  #pause(ms: number, why: string): void {
    const until = performance.now() + ms;
    if (until <= this.#pausedUntil) return;
    // Said once a pause, not once a request that runs into it.
    if (ms >= 1000 && this.#pausedUntil < performance.now()) this.#options.say?.(`${this.server} asks to wait ${Math.ceil(ms / 1000)} s (${why}): all requests do`);
    this.#pausedUntil = until;
  }

  async #waitForPause(): Promise<void> {
    // Timers may end a little early, and a pause may be made longer meanwhile.
    for (let left = this.#pausedUntil - performance.now(); left > 0; left = this.#pausedUntil - performance.now()) await this.#sleep(Math.ceil(left));
    if (this.#closed) throw closed(null);
  }

  async #sleep(ms: number): Promise<void> {
    await this.#abortable((signal) => sleep(ms, undefined, { signal })).catch((error: unknown) => {
      throw this.#closed ? closed(error) : error;
    });
  }

  async #abortable<T>(work: (signal: AbortSignal, abort: () => void) => Promise<T>): Promise<T> {
    if (this.#closed) throw closed(null);
    const controller = new AbortController();
    this.#live.add(controller);
    try {
      return await work(controller.signal, () => controller.abort());
    } finally {
      this.#live.delete(controller);
    }
  }

  #gaveUp({ why, cause, unreachable }: Passing, failures: number, tooLong: number | null): OutsideError {
    if (tooLong !== null) return new OutsideError('openai', `${this.server} asks to wait ${Math.ceil(tooLong / 1000)} s (${why}), longer than is waited for. Run again later: it goes on where this stopped`, { cause });
    const what = unreachable && !this.#reached ? 'is the server running, and OPENAI_BASE_URL right?' : 'Running again goes on where this stopped';
    return new OutsideError('openai', `${this.server}: no answer after ${failures} ${failures === 1 ? 'try' : 'tries'}; the last: ${why}. ${what}`, { cause });
  }
}

function closed(cause: unknown): OutsideError {
  return new OutsideError('openai', 'the connection was closed while a request was under way', { cause });
}

function checkedUrl(text: string): string {
  const url = URL.parse(text);
  // Not repeated in the message where it may hold a password.
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:') || url.username !== '' || url.password !== '' || url.search !== '') {
    throw new CallerError('BAD_CONFIG', 'OPENAI_BASE_URL: expected http(s)://host[:port]/path without user, password or query, e.g. http://127.0.0.1:8000/v1; a key goes into OPENAI_API_KEY');
  }
  return url.href.replace(/\/+$/, '');
}
