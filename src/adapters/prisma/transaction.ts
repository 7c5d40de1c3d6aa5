import type { Pool, PoolClient } from 'pg';
import { CallerError, InvariantError, OutsideError, messageOf } from '../../domain/errors.ts';

/** Runs `work` in one transaction: committed when it returns, rolled back when it throws. */
export async function transaction<T>(pool: Pool, work: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect().catch((error: unknown) => {
    throw databaseError(error);
  });
  let broken = false;
  try {
    await client.query('BEGIN');
    const result = await work(client);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => (broken = true));
    throw databaseError(error);
  } finally {
    // A connection that could not even roll back is thrown away.
    client.release(broken);
  }
}

const UNIQUE_VIOLATION = '23505';
/** A statement was ended because its time (statement_timeout) was over. */
const QUERY_CANCELED = '57014';

/** What the database or its driver threw, as one of the project's errors. */
export function databaseError(error: unknown): Error {
  if (error instanceof CallerError || error instanceof OutsideError || error instanceof InvariantError) return error;
  const { code, detail } = error as { code?: unknown; detail?: unknown };
  if (code === UNIQUE_VIOLATION) {
    return new CallerError('BAD_INPUT', `the same row comes twice: ${String(detail ?? messageOf(error))}`, { cause: error });
  }
  if (code === QUERY_CANCELED) {
    return new CallerError('TIMED_OUT', 'the database took too long over this and gave it up: ask for less at once', { cause: error });
  }
  return new OutsideError('postgres', `the database failed: ${messageOf(error)}`, { cause: error });
}
