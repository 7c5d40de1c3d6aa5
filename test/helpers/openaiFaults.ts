import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';

/**
 * What a server can do wrong. "Work" is running the model, which is what is paid for.
 *
 * Before the work: `no-answer` (the request is never answered), `dropped-before` (the connection is cut), `rate-limit` (429 with
 * retry-after-ms), `rate-limit-seconds`, `rate-limit-date` (429 with Retry-After), `rate-limit-bare` (429 alone), `server-error`
 * (500), `overloaded` (503).
 * After the work, so that the client cannot know: `dropped-after` (cut before the headers), `cut-body` (cut in the middle of the
 * body), `truncated-json` (a body that ends too early, by the rules of HTTP whole), `not-json` (a page of HTML), `empty-choices`,
 * `stalled-body` (headers and half a body, then nothing).
 * Harmless: `slow-body` (the whole body in small pieces), `missing-usage`.
 */
export const FAULT_KINDS = [
  'no-answer', 'dropped-before', 'rate-limit', 'rate-limit-seconds', 'rate-limit-date', 'rate-limit-bare', 'server-error', 'overloaded',
  'dropped-after', 'cut-body', 'truncated-json', 'not-json', 'empty-choices', 'stalled-body', 'slow-body', 'missing-usage',
] as const; // prettier-ignore
export type FaultKind = (typeof FAULT_KINDS)[number];

const BEFORE_WORK: ReadonlySet<FaultKind> = new Set(['no-answer', 'dropped-before', 'rate-limit', 'rate-limit-seconds', 'rate-limit-date', 'rate-limit-bare', 'server-error', 'overloaded']);
const HARMLESS: ReadonlySet<FaultKind> = new Set(['slow-body', 'missing-usage']);

export interface FaultPlan {
  readonly seed: number;
  /** Share of answers that go wrong, 0 to 1. */
  readonly rate: number;
  /** Drawn from evenly; all where absent. */
  readonly kinds?: readonly FaultKind[];
  /** Most faults in a row for one request (default 4), so that a client with more retries loses none. */
  readonly inARow?: number;
  /** What `rate-limit` asks for, ms (default 5). */
  readonly retryAfterMs?: number;
  /** What `rate-limit-seconds` and `rate-limit-date` ask for (default 1). */
  readonly retryAfterSeconds?: number;
}

/** Decides by request and by how often it came, not by order of arrival: the same whatever runs beside it. */
export function faultFor(plan: FaultPlan | undefined, key: string, arrival: number): FaultKind | null {
  if (plan === undefined) return null;
  const fault = draw(plan, key, arrival);
  if (fault === null) return null;
  let before = 0;
  while (before < arrival && draw(plan, key, arrival - 1 - before) !== null) before++;
  return before % ((plan.inARow ?? 4) + 1) === (plan.inARow ?? 4) ? null : fault;
}

function draw({ seed, rate, kinds = FAULT_KINDS }: FaultPlan, key: string, arrival: number): FaultKind | null {
  const hash = createHash('sha256').update(`${seed}/${key}/${arrival}`).digest();
  if (hash.readUInt32LE(0) / 2 ** 32 >= rate) return null;
  return kinds[hash.readUInt32LE(4) % kinds.length];
}

export function isBeforeWork(fault: FaultKind): boolean {
  return BEFORE_WORK.has(fault);
}

/** The client gets nothing it can use although the work was done. */
export function losesWork(fault: FaultKind): boolean {
  return !BEFORE_WORK.has(fault) && !HARMLESS.has(fault);
}

/** Answers, or does not, in the way of a fault before the work. */
export function failBeforeWork(fault: FaultKind, plan: FaultPlan, request: IncomingMessage, response: ServerResponse): void {
  const refuse = (status: number, message: string, headers: Record<string, string> = {}): void => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify({ error: { message, type: 'server_error', code: null, param: null } }));
  };
  const { retryAfterMs = 5, retryAfterSeconds = 1 } = plan;
  switch (fault) {
    case 'no-answer': return;
    case 'dropped-before': request.socket.destroy(); return;
    case 'rate-limit': refuse(429, 'Rate limit reached', { 'retry-after-ms': String(retryAfterMs) }); return;
    case 'rate-limit-seconds': refuse(429, 'Rate limit reached', { 'retry-after': String(retryAfterSeconds) }); return;
    // HTTP dates have whole seconds: rounded up, so that it is not asked for less than was meant.
    case 'rate-limit-date': refuse(429, 'Rate limit reached', { 'retry-after': new Date(Math.ceil((Date.now() + retryAfterSeconds * 1000) / 1000) * 1000).toUTCString() }); return;
    case 'rate-limit-bare': refuse(429, 'Rate limit reached'); return;
    case 'overloaded': refuse(503, 'The engine is overloaded'); return;
    default: refuse(500, 'The server had an error'); return;
  } // prettier-ignore
}

/** Sends an answer in the way of a fault after the work; null sends it as it should be. */
export function deliver(fault: FaultKind | null, answer: Record<string, unknown>, request: IncomingMessage, response: ServerResponse): void {
  const body = fault === 'empty-choices' ? { ...answer, choices: [], data: [] } : fault === 'missing-usage' ? { ...answer, usage: undefined } : answer;
  const bytes = Buffer.from(JSON.stringify(body));
  const half = bytes.subarray(0, Math.ceil(bytes.length / 2));
  const json = { 'content-type': 'application/json' };
  switch (fault) {
    case 'dropped-after': request.socket.destroy(); return;
    case 'cut-body':
      response.writeHead(200, { ...json, 'content-length': bytes.length });
      response.write(half, () => request.socket.destroy());
      return;
    case 'truncated-json': response.writeHead(200, json).end(half); return;
    case 'not-json': response.writeHead(200, { 'content-type': 'text/html' }).end('<html><body>Bad gateway</body></html>'); return;
    case 'stalled-body': response.writeHead(200, { ...json, 'content-length': bytes.length }).write(half); return;
    case 'slow-body': {
      response.writeHead(200, { ...json, 'content-length': bytes.length });
      const quarter = Math.ceil(bytes.length / 4);
      const send = (at: number): void => {
        if (response.destroyed) return;
        if (at >= bytes.length) response.end();
        else response.write(bytes.subarray(at, at + quarter), () => setImmediate(send, at + quarter));
      };
      send(0);
      return;
    }
    default: response.writeHead(200, json).end(bytes); return;
  } // prettier-ignore
}
