import { setTimeout as pause } from 'node:timers/promises';
import type { Pool, PoolClient } from 'pg';
import { CallerError } from '../../domain/errors.ts';
import type { OutboxBuild, OutboxChanges } from '../../ports/SearchOutbox.ts';
import { CLAIMING, changesOf, nextRevision, query, type OutboxRow } from './outboxRows.ts';
import { databaseError, transaction } from './transaction.ts';

/** Held by the builder's connection: it is free again when the process dies. */
const BUILDING = `hashtextextended('search outbox: building', 0)`;
/** More changed features of a dictionary than this are replayed as the dictionary. */
const MANY = 1000;
const POLL_MS = 200;
/** Rows that a writer holds just now are written anew by it, as not sent. */
const UNSEND = `UPDATE search_outbox SET sent = false
  WHERE (dictionary_id, "index") IN (SELECT dictionary_id, "index" FROM search_outbox WHERE sent FOR UPDATE SKIP LOCKED)`;

/**
 * Begins the building of an index: from here on, what is sent to the index that answers stays in the outbox, marked. Whatever
 * was committed before is seen by reads that begin after this returns; whatever is committed later has its row in the outbox.
 */
export async function startBuild(pool: Pool): Promise<OutboxBuild> {
  const client = await pool.connect().catch((error: unknown) => {
    throw databaseError(error);
  });
  // A connection that breaks loses the lock; the next statement says what is wrong.
  client.on('error', () => undefined);
  try {
    const { rows } = await client.query<{ locked: boolean }>(`SELECT pg_try_advisory_lock(${BUILDING}) AS locked`);
    if (rows[0]?.locked !== true) throw new CallerError('BUSY', 'a search index is being built already: wait for it, or stop it');
    await query(pool, UNSEND);
    await query(pool, 'INSERT INTO search_build (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET paused = false, started_at = now()');
    return building(pool, client);
  } catch (error) {
    client.release(true);
    throw databaseError(error);
  }
}

function building(pool: Pool, client: PoolClient): OutboxBuild {
  return {
    changes: (known) => changesSince(pool, known),
    async pause() {
      await transaction(pool, async (alone) => {
        // Waits for claims that are just being made; later ones see the pause.
        await alone.query(`SELECT pg_advisory_xact_lock(${CLAIMING})`);
        await alone.query('UPDATE search_build SET paused = true');
      });
      while ((await query(pool, 'SELECT 1 FROM search_outbox WHERE claimed_until >= now() LIMIT 1')).length > 0) await pause(POLL_MS);
    },
    async end(replayed) {
      try {
        await transaction(pool, (ending) => endBuild(ending, replayed));
      } finally {
        // With the connection goes its lock.
        client.release(true);
      }
    },
  };
}

async function changesSince(pool: Pool, known: ReadonlyMap<string, string>): Promise<readonly OutboxChanges[]> {
  const rows = await query<OutboxRow & { dictionaryId: number }>(pool, 'SELECT dictionary_id AS "dictionaryId", "index", revision::text FROM search_outbox ORDER BY 1, 2');
  const fresh = rows.filter(({ dictionaryId, index, revision }) => known.get(`${dictionaryId}/${index}`) !== revision);
  const byDictionary = Map.groupBy(fresh, (row) => row.dictionaryId);
  return transaction(pool, async (client) => {
    const changes: OutboxChanges[] = [];
    for (const [dictionaryId, own] of byDictionary) {
      const all = changesOf(dictionaryId, own, await nextRevision(client));
      changes.push(own.length > MANY ? { ...all, indices: null } : all);
    }
    return changes;
  });
}

/** What the published index knows is done with; everything else is to be sent. */
async function endBuild(client: PoolClient, replayed: ReadonlyMap<string, string> = new Map()): Promise<void> {
  const keys = [...replayed.keys()].map((key) => key.split('/').map(Number));
  await client.query(
    `DELETE FROM search_outbox WHERE (dictionary_id, "index") IN (
       SELECT o.dictionary_id, o."index" FROM search_outbox o JOIN unnest($1::int[], $2::int[], $3::bigint[]) r(dictionary_id, "index", revision)
         ON o.dictionary_id = r.dictionary_id AND o."index" = r."index" AND o.revision = r.revision FOR UPDATE OF o SKIP LOCKED)`,
    [keys.map(([dictionaryId]) => dictionaryId), keys.map(([, index]) => index), [...replayed.values()]],
  );
  await forget(client);
}

async function forget(client: PoolClient): Promise<void> {
  await client.query(UNSEND);
  await client.query('DELETE FROM search_build');
}

/** Inside the caller's transaction: where the process of a build has died, what it left is put right. */
export async function endDeadBuild(client: PoolClient): Promise<void> {
  const { rows } = await client.query('SELECT 1 FROM search_build');
  if (rows.length === 0) return;
  const { rows: free } = await client.query<{ locked: boolean }>(`SELECT pg_try_advisory_xact_lock(${BUILDING}) AS locked`);
  if (free[0]?.locked === true) await forget(client);
}
