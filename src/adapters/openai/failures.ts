import { APIConnectionError, APIError } from 'openai';
import { CallerError, messageOf } from '../../domain/errors.ts';
import { retryAfterMs } from './retryAfter.ts';

/** A reply with a good status that cannot be used: no JSON, cut off, or not of the form expected. */
export class UselessBody extends Error {
  override readonly name = 'UselessBody';
}

/** No whole answer in time. */
export class TimedOut extends Error {
  override readonly name = 'TimedOut';
}

/** The server does not know a parameter, or not with this value. `parameter`: one of the names asked about. */
export class ParameterRefused extends CallerError {
  readonly parameter: string;

  constructor(parameter: string, message: string, cause: unknown) {
    super('UNSUPPORTED', message, { cause });
    this.parameter = parameter;
  }
}

/** The server's filter withheld an answer before there was any (Azure answers 400). */
export class Withheld extends CallerError {
  constructor(message: string, cause: unknown) {
    super('BAD_INPUT', message, { cause });
  }
}

/** A failure outside, which may go away. */
export interface Passing {
  readonly why: string;
  /** The server may have done the work, and charge for it. */
  readonly lost: boolean;
  /** The connection was never made. */
  readonly unreachable: boolean;
  /** The server says that a repetition will not help. */
  readonly hopeless: boolean;
  /** Holds back every request of the client, not only this one. */
  readonly everybody: boolean;
  /** What the server asks to wait; null = it does not say. */
  readonly waitMs: number | null;
  readonly cause: unknown;
}

export interface Asked {
  /** Base URL, for messages. */
  readonly server: string;
  readonly model: string;
  readonly path: string;
  /** Taken out of all messages. */
  readonly apiKey: string | null;
  /** Parameters that can be left out or changed. */
  readonly parameters: readonly string[];
}

const NEVER_SENT = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT', 'CERT_HAS_EXPIRED', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'ERR_TLS_CERT_ALTNAME_INVALID']);

/** What a failed sending means: it may pass, or it is the caller's matter. Anything else is thrown again as it is. */
export function judgeFailure(error: unknown, asked: Asked): Passing | CallerError {
  const passing = { lost: false, unreachable: false, hopeless: false, everybody: false, waitMs: null, cause: error };
  if (error instanceof UselessBody || error instanceof TimedOut) return { ...passing, why: error.message, lost: true };
  if (error instanceof APIError && error.status !== undefined) return judgeStatus(error as APIError<number, Headers>, asked);
  if (error instanceof APIConnectionError || error instanceof TypeError) {
    const codes = codesOf(error);
    const unreachable = codes.some((code) => NEVER_SENT.has(code));
    return { ...passing, why: unreachable ? `no connection (${codes.join(', ')})` : `the connection broke (${codes.join(', ') || messageOf(error)})`, lost: !unreachable, unreachable };
  }
  throw error;
}

function judgeStatus(error: APIError<number, Headers>, asked: Asked): Passing | CallerError {
  const { status, headers, code, type, param } = error;
  const said = clean(error.message, asked);
  const { server, model, path } = asked;
  const caller = (kind: ConstructorParameters<typeof CallerError>[0], text: string): CallerError => new CallerError(kind, text, { cause: error });
  if ([code, type].includes('insufficient_quota') || status === 402) return caller('LIMIT_EXCEEDED', `${server}: the account's quota is used up (${said}). Add credit there and run again: answers paid for are kept`);
  if (status === 401 || status === 403) {
    const refused = refusedParameter(said, param, asked.parameters);
    if (status === 403 && refused !== null) return new ParameterRefused(refused, `${server}, model ${model}: ${said}`, error);
    return caller('BAD_CONFIG', `${server} refuses the API key, or the key may not use model ${model} (${said}): set OPENAI_API_KEY to a key for this server`);
  }
  if (status === 404 || status === 405) return caller('NOT_FOUND', `${server} knows no model ${model}, or nothing at ${path} (${said}): check the model's name, and that OPENAI_BASE_URL ends as the server wants (most: /v1)`);
  const should = headers.get('x-should-retry');
  const outside = status !== 501 && !deniesSupport(status, said) && (status === 408 || status === 409 || status === 425 || status === 429 || status >= 500);
  if (should === 'true' || outside) {
    const waitMs = retryAfterMs(headers, Date.now());
    return { why: said, lost: false, unreachable: false, hopeless: should === 'false', everybody: status === 429 || waitMs !== null, waitMs, cause: error };
  }
  if (code === 'content_filter' || code === 'content_policy_violation') return new Withheld(`${server}: ${said}`, error);
  if (status === 413 || code === 'context_length_exceeded' || /context (?:length|size|window)|too (?:long|large)|exceed_context/i.test(said)) {
    return caller('TEXT_TOO_LONG', `${server}: the request is too long for model ${model} (${said}): use a model with a longer context`);
  }
  const refused = refusedParameter(said, param, asked.parameters);
  if (refused !== null) return new ParameterRefused(refused, `${server}, model ${model}: ${said}`, error);
  return caller(status === 501 || deniesSupport(status, said) ? 'UNSUPPORTED' : 'BAD_INPUT', `${server} does not serve this request to ${path} of model ${model}: ${said}`);
}

/** Some servers answer 500 to what they do not support. */
function deniesSupport(status: number, said: string): boolean {
  return status === 500 && /not support|unsupported|only no echo|not implemented/i.test(said);
}

/** The parameter an error is about: the one it names as such, else the first its text mentions. */
function refusedParameter(said: string, param: string | null | undefined, parameters: readonly string[]): string | null {
  const named = parameters.find((name) => param === name || param?.startsWith(`${name}.`) === true);
  if (named !== undefined) return named;
  let first: string | null = null;
  let at = Infinity;
  for (const name of parameters) {
    const found = said.search(new RegExp(`(?<![A-Za-z_])${name}(?![A-Za-z_])`));
    if (found >= 0 && found < at) [first, at] = [name, found];
  }
  return first;
}

/** A server's words, short and without the key. */
function clean(text: string, { apiKey }: Asked): string {
  const safe = apiKey === null ? text : text.replaceAll(apiKey, '[key]');
  const line = safe.replace(/\s+/g, ' ').trim();
  return line.length > 300 ? `${line.slice(0, 300)}…` : line;
}

function codesOf(error: unknown, depth = 0): string[] {
  if (!(error instanceof Error) || depth > 5) return [];
  const { code } = error as NodeJS.ErrnoException;
  return [...new Set([...(typeof code === 'string' ? [code] : []), ...codesOf(error.cause, depth + 1)])];
}
