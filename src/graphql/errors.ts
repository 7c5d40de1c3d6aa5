import { randomUUID } from 'node:crypto';
import { unwrapResolverError } from '@apollo/server/errors';
import { GraphQLError, type GraphQLFormattedError } from 'graphql';
import type { Logger } from 'pino';
import { CallerError, OutsideError, type CallerErrorCode } from '../domain/errors.ts';

/** Codes of UserErrorCode in the contract, and what finer codes of the domain are shown as. */
const USER_ERROR_CODES: Readonly<Partial<Record<CallerErrorCode, string>>> = {
  BAD_INPUT: 'BAD_INPUT',
  NOT_FOUND: 'NOT_FOUND',
  UNSUPPORTED: 'UNSUPPORTED',
  TEXT_TOO_LONG: 'TEXT_TOO_LONG',
  LIMIT_EXCEEDED: 'LIMIT_EXCEEDED',
  MODEL_UNAVAILABLE: 'MODEL_UNAVAILABLE',
  DEVICE_UNAVAILABLE: 'MODEL_UNAVAILABLE',
  BUSY: 'BUSY',
  TIMED_OUT: 'TIMED_OUT',
  BUDGET_REACHED: 'LIMIT_EXCEEDED',
};

/** UserError of the contract. */
export interface UserError {
  readonly code: string;
  readonly field: readonly string[] | null;
  readonly message: string;
  readonly retryAfterSeconds: number | null;
}

/** A mutation's user error; null when the failure is not the caller's. */
export function userErrorOf(error: unknown): UserError | null {
  if (!(error instanceof CallerError)) return null;
  const code = USER_ERROR_CODES[error.code];
  return code === undefined ? null : { code, field: error.field ?? null, message: error.message, retryAfterSeconds: error.retryAfterSeconds ?? null };
}

/** The HTTP status an error asks for; `otherwise` where it does not. */
export function statusOf({ extensions }: GraphQLError, otherwise = 500): number {
  const http = extensions['http'];
  const status = typeof http === 'object' && http !== null && 'status' in http ? http.status : undefined;
  return typeof status === 'number' ? status : otherwise;
}

/**
 * What callers see of a failure: their own mistakes as they are, with a code; everything else masked, with an id under which
 * the log holds the whole.
 */
export function errorFormatter(log: Logger): (formatted: GraphQLFormattedError, error: unknown) => GraphQLFormattedError {
  return (formatted, error) => {
    const cause = unwrapResolverError(error);
    if (cause instanceof CallerError) {
      const { code, field, retryAfterSeconds } = cause;
      return { ...formatted, extensions: { code, ...(field === undefined ? {} : { field }), ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }) } };
    }
    // Syntax, validation, limits: raised before any resolver ran, and safe to show.
    if (cause instanceof GraphQLError && formatted.extensions?.['code'] !== 'INTERNAL_SERVER_ERROR') return formatted;
    // Refused by Apollo with a status of the caller's, and without a code.
    if (cause instanceof GraphQLError && statusOf(cause) < 500) return { ...formatted, extensions: { code: 'BAD_REQUEST' } };
    const id = randomUUID();
    log.error({ id, err: cause, path: formatted.path }, 'a request failed');
    const outside = cause instanceof OutsideError;
    return {
      message: outside
        ? `something this server needs is not answering; try again later (id ${id})`
        : `something failed on this server; its log has more under id ${id}`,
      ...(formatted.path === undefined ? {} : { path: formatted.path }),
      ...(formatted.locations === undefined ? {} : { locations: formatted.locations }),
      extensions: { code: outside ? 'SERVICE_UNAVAILABLE' : 'INTERNAL_SERVER_ERROR', id },
    };
  };
}
