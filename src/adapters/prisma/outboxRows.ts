import type { Pool, PoolClient } from 'pg';
import type { OutboxChanges } from '../../ports/SearchOutbox.ts';
import { databaseError } from './transaction.ts';

/** `index` of the row of a whole dictionary. */
export const WHOLE = -1;
/** SQL for the advisory lock that claims share, and that the end of a build takes alone. */
export const CLAIMING = `hashtextextended('search outbox: claiming', 0)`;

/** A row of the outbox; the revision as text, whatever its size. */
export type OutboxRow = { readonly index: number; readonly revision: string };

/** Rows of one dictionary as one piece of work. */
export function changesOf(dictionaryId: number, rows: readonly OutboxRow[], revision: number): OutboxChanges {
  const indices = rows.some(({ index }) => index === WHOLE) ? null : rows.map(({ index }) => index);
  return { dictionaryId, indices, revision, rows: rows.map(({ index, revision: at }) => [index, at] as const) };
}

/** A revision above all that were given before. */
export async function nextRevision(client: PoolClient): Promise<number> {
  const { rows } = await client.query<{ revision: string }>(`SELECT nextval('search_outbox_revision_seq')::text AS revision`);
  return Number(rows[0]!.revision);
}

/** One statement, with failures as the project's errors. */
export async function query<Row extends Record<string, unknown>>(pool: Pool, text: string, values: readonly unknown[] = []): Promise<readonly Row[]> {
  try {
    return (await pool.query<Row>(text, [...values])).rows;
  } catch (error) {
    throw databaseError(error);
  }
}

