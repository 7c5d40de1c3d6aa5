import { createHash } from 'node:crypto';
import { CallerError } from '../domain/errors.ts';

/**
 * Cursors are base64url of a JSON array [scope, ...values]. The scope names the list (kind, order, a hash of the query), so
 * that a cursor of one list is refused by another; callers must treat the whole as opaque.
 */
export type CursorValue = number | string | null;

/** What each value after the scope must be; a trailing `?` allows null. */
export type CursorShape = readonly ('index' | 'number' | 'number?' | 'string')[];

export function encodeCursor(scope: string, values: readonly CursorValue[]): string {
  return Buffer.from(JSON.stringify([scope, ...values])).toString('base64url');
}

/** Values of a cursor of this scope, checked against `shape`; throws BAD_CURSOR for anything else. */
export function decodeCursor(scope: string, shape: CursorShape, cursor: string): CursorValue[] {
  const fail = (found: string): never => {
    throw new CallerError('BAD_CURSOR', `after is ${found}: expected an endCursor of the same list, in the same order`, {
      field: ['after'],
    });
  };
  if (cursor.length > 2000 || !/^[A-Za-z0-9_-]+$/.test(cursor)) return fail('no cursor');
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
  } catch {
    return fail('no cursor');
  }
  if (!Array.isArray(parsed) || parsed.length !== shape.length + 1) return fail('no cursor of this list');
  const [found, ...values] = parsed as unknown[];
  if (found !== scope) return fail('a cursor of another list');
  return values.map((value, i) => (matches(shape[i], value) ? (value as CursorValue) : fail('a damaged cursor')));
}

function matches(shape: CursorShape[number], value: unknown): boolean {
  switch (shape) {
    case 'index':
      return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 31;
    case 'number':
      return typeof value === 'number' && Number.isFinite(value);
    case 'number?':
      return value === null || (typeof value === 'number' && Number.isFinite(value));
    case 'string':
      return typeof value === 'string' && value.length <= 500 && !value.includes('\u0000') && value.isWellFormed();
  }
}

/** Short hash for a scope: binds a cursor to the query and filter it came from. */
export function scopeHash(...parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url').slice(0, 10);
}
