/**
 * Three kinds of failure, never mixed:
 *  - `InvariantError`: our bug. Raised by `invariant`; message is for developers.
 *  - `CallerError`: the caller's mistake (bad input, missing thing). Its message is safe to show and says what was
 *    expected, what was found and what to try. `code` is stable and part of the public API.
 *  - `OutsideError`: something outside failed (disk, network, database, device). Keeps the cause.
 */

export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/** Throws InvariantError unless the condition holds. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantError(`bug: ${message}`);
}

/** For exhaustive switches. */
export function unreachable(value: never): never {
  throw new InvariantError(`bug: unexpected value ${JSON.stringify(value)}`);
}

export type CallerErrorCode =
  | 'BAD_INPUT'
  | 'NOT_FOUND'
  | 'UNSUPPORTED'
  | 'MISSING_TENSOR'
  | 'WRONG_SHAPE'
  | 'BAD_MODEL_FILE'
  | 'UNSUPPORTED_ARCHITECTURE'
  | 'TOKENIZER_MISMATCH'
  | 'TEXT_TOO_LONG'
  | 'DEVICE_UNAVAILABLE'
  | 'BAD_DICTIONARY'
  | 'BAD_CONFIG'
  | 'BAD_CURSOR'
  | 'LIMIT_EXCEEDED'
  | 'BUDGET_REACHED'
  | 'MODEL_UNAVAILABLE'
  | 'STALE_OUTPUT'
  | 'BUSY'
  | 'TIMED_OUT'
  | 'UNAUTHENTICATED'
  | 'FORBIDDEN';

export class CallerError extends Error {
  override readonly name: string = 'CallerError';
  readonly code: CallerErrorCode;
  /** Path of the offending input field where there is one, e.g. ['features', '0', 'index']. */
  readonly field: readonly string[] | undefined;
  /** When to try again, where trying again helps. */
  readonly retryAfterSeconds: number | undefined;

  constructor(code: CallerErrorCode, message: string, options: { cause?: unknown; field?: readonly string[]; retryAfterSeconds?: number } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.field = options.field;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}

export class OutsideError extends Error {
  override readonly name: string = 'OutsideError';
  /** What failed, e.g. 'postgres', 'onnxruntime', 'disk', 'hub'. */
  readonly system: string;

  constructor(system: string, message: string, options: { cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.system = system;
  }
}

/** Message of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
