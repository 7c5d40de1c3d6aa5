import type { ClientBase, Pool } from 'pg';
import { databaseError } from './transaction.ts';

/**
 * One snapshot for all statements of a search, in which no plan reads whole tables: with words in half of all rows the planner
 * would hope to find a page of them soon, and be wrong where they are elsewhere. Neither compiling nor parallel workers pay for a
 * few milliseconds of work.
 */
const BEGIN = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL enable_seqscan = off; SET LOCAL jit = off; SET LOCAL max_parallel_workers_per_gather = 0`;

/** Runs the statements of one search on one connection. */
export async function planned<T>(pool: Pool, work: (client: ClientBase) => Promise<T>): Promise<T> {
  const client = await pool.connect().catch((error: unknown) => {
    throw databaseError(error);
  });
  let broken = false;
  try {
    await client.query(BEGIN);
    return await work(client);
  } catch (error) {
    throw databaseError(error);
  } finally {
    await client.query('ROLLBACK').catch(() => (broken = true));
    client.release(broken);
  }
}
