/** One entry of an answer's `errors`. */
export interface GraphQLFailure {
  readonly message: string;
  readonly path?: readonly (string | number)[];
  readonly extensions?: { readonly code?: string; readonly field?: readonly string[]; readonly retryAfterSeconds?: number; readonly [key: string]: unknown };
}

/** One entry of a payload's `userErrors`. */
export interface UserError {
  readonly code: string;
  readonly field?: readonly string[] | null;
  readonly message: string;
  readonly retryAfterSeconds?: number | null;
}

interface Details {
  /** Of the contract, e.g. `NOT_FOUND`; of the transport, `UNREACHABLE`, `BAD_ANSWER`, `ABORTED`. */
  readonly code: string;
  /** HTTP status; undefined where no answer came. */
  readonly status?: number | undefined;
  readonly retryAfterSeconds?: number | undefined;
  /** Path of the input field that is wrong. */
  readonly field?: readonly string[] | undefined;
  readonly errors?: readonly GraphQLFailure[] | undefined;
  readonly cause?: unknown;
}

/** What went wrong with a request. Its three kinds are the classes below. */
export abstract class CatalogError extends Error {
  readonly code: string;
  readonly status: number | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly field: readonly string[] | undefined;
  readonly errors: readonly GraphQLFailure[];

  constructor(message: string, { code, status, retryAfterSeconds, field, errors = [], cause }: Details) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.code = code;
    this.status = status;
    this.retryAfterSeconds = retryAfterSeconds;
    this.field = field;
    this.errors = errors;
  }
}

/** The request makes no sense, is not allowed, or asks for too much now: `code` says which, the message what to try. */
export class CallerError extends CatalogError {}
/** A bug of the server's; its log has more. */
export class ServerError extends CatalogError {}
/** No answer, or none of a catalog: the network, a proxy, or something the server needs. */
export class OutsideError extends CatalogError {}

/** The error of the kind that a code and a status belong to. */
export function catalogError(message: string, details: Details): CatalogError {
  const { code, status = 200 } = details;
  if (code === 'INTERNAL_SERVER_ERROR') return new ServerError(message, details);
  if (['SERVICE_UNAVAILABLE', 'UNREACHABLE', 'BAD_ANSWER', 'ABORTED'].includes(code) || (status >= 500 && code === 'UNKNOWN')) return new OutsideError(message, details);
  return new CallerError(message, details);
}

/** Throws the first of an answer's errors, with all of them in `errors`. */
export function failure(errors: readonly GraphQLFailure[], status: number | undefined, retryAfter: number | undefined): CatalogError {
  const [first] = errors;
  const extensions = first?.extensions;
  return catalogError(errors.map(({ message }) => message).join('; '), {
    code: extensions?.code ?? 'UNKNOWN',
    status,
    retryAfterSeconds: extensions?.retryAfterSeconds ?? retryAfter,
    field: extensions?.field,
    errors,
  });
}

/** A mutation's payload, which has no user errors; otherwise the first of them is thrown. */
export function checked<T extends { readonly userErrors: readonly UserError[] }>(payload: T | null | undefined): T {
  if (payload === null || payload === undefined) throw new OutsideError('the answer holds no payload', { code: 'BAD_ANSWER' });
  const [first] = payload.userErrors;
  if (first === undefined) return payload;
  throw new CallerError(payload.userErrors.map(({ message }) => message).join('; '), { code: first.code, field: first.field ?? undefined, retryAfterSeconds: first.retryAfterSeconds ?? undefined });
}
