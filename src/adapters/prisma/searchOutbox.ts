import type { Pool, PoolClient } from 'pg';
import type { OutboxClaim, SearchOutbox } from '../../ports/SearchOutbox.ts';
import { CLAIMING, WHOLE, changesOf, nextRevision, query, type OutboxRow } from './outboxRows.ts';
import { endDeadBuild, startBuild } from './searchBuild.ts';
import { countDocuments, readDocuments } from './searchDocuments.ts';
import { transaction } from './transaction.ts';

/** A claim lasts so long unless it is lengthened. */
const LEASE = `interval '60 seconds'`;
/** What must be left of it to go on: longer than one request to the search server may take. */
const MARGIN = `interval '40 seconds'`;
/** Features of one claim. */
const CLAIM = 1000;
const OLDEST = `SELECT o.dictionary_id AS "dictionaryId" FROM search_outbox o
  WHERE NOT o.sent AND (o.claimed_until IS NULL OR o.claimed_until < now())
    AND NOT EXISTS (SELECT 1 FROM search_outbox b WHERE b.dictionary_id = o.dictionary_id AND b.claimed_until >= now())
  ORDER BY o.revision LIMIT 1 FOR UPDATE OF o SKIP LOCKED`;

// The whole dictionary comes first: it covers its features.
const TAKE = `UPDATE search_outbox SET claim = $2, claimed_until = now() + ${LEASE}
  WHERE dictionary_id = $1 AND "index" IN (
    SELECT "index" FROM search_outbox WHERE dictionary_id = $1 AND NOT sent ORDER BY "index" LIMIT ${CLAIM} FOR UPDATE SKIP LOCKED)
  RETURNING "index", revision::text`;

/** Rows of a claim that no writer holds just now: $1 dictionary, $2 the claim. Those that one holds it writes anew, with the claim. */
const OWN = 'dictionary_id = $1 AND claim = $2';
const FREE = `(dictionary_id, "index") IN (SELECT dictionary_id, "index" FROM search_outbox WHERE ${OWN} FOR UPDATE SKIP LOCKED)`;

/** The outbox in PostgreSQL: see the migration for how it is filled. */
export function searchOutbox(pool: Pool): SearchOutbox {
  return {
    catalogId: async () => (await query<{ id: string }>(pool, 'SELECT id::text FROM catalog_identity ORDER BY 1 LIMIT 1'))[0]!.id,
    claim: () => transaction(pool, claim),
    async renew({ dictionaryId, revision }) {
      const values = [dictionaryId, revision];
      await query(pool, `UPDATE search_outbox SET claimed_until = now() + ${LEASE} WHERE claimed_until >= now() AND ${FREE}`, values);
      return (await query(pool, `SELECT 1 FROM search_outbox WHERE ${OWN} AND claimed_until >= now() + ${MARGIN} LIMIT 1`, values)).length > 0;
    },
    finish: (taken) => transaction(pool, (client) => finish(client, taken)),
    async release({ dictionaryId, revision }) {
      await query(pool, `UPDATE search_outbox SET claim = NULL, claimed_until = NULL WHERE ${FREE}`, [dictionaryId, revision]);
    },
    waiting: async () => (await query<{ n: number }>(pool, 'SELECT count(*)::int AS n FROM search_outbox WHERE NOT sent'))[0]!.n,
    async note(dictionaryIds) {
      await query(
        pool,
        `INSERT INTO search_outbox (dictionary_id, "index") SELECT d, ${WHOLE} FROM unnest($1::int[]) d ORDER BY 1
         ON CONFLICT (dictionary_id, "index") DO UPDATE SET revision = excluded.revision, sent = false`,
        [[...dictionaryIds]],
      );
    },
    documents: (dictionaryId, indices, batch) => readDocuments(pool, dictionaryId, indices, batch),
    counts: () => countDocuments(pool),
    beginBuild: () => startBuild(pool),
  };
}

async function claim(client: PoolClient): Promise<OutboxClaim | null> {
  await client.query(`SELECT pg_advisory_xact_lock_shared(${CLAIMING})`);
  await endDeadBuild(client);
  const { rows: paused } = await client.query('SELECT 1 FROM search_build WHERE paused');
  if (paused.length > 0) return null;
  const { rows: oldest } = await client.query<{ dictionaryId: number }>(OLDEST);
  const dictionaryId = oldest[0]?.dictionaryId;
  if (dictionaryId === undefined) return null;
  // Two claims of one dictionary could otherwise begin at once, each over rows that the other does not see yet.
  const { rows: alone } = await client.query<{ locked: boolean }>(`SELECT pg_try_advisory_xact_lock(hashtextextended('search outbox ' || $1::int, 0)) AS locked`, [dictionaryId]);
  if (alone[0]?.locked !== true) return null;
  const { rows: others } = await client.query('SELECT 1 FROM search_outbox WHERE dictionary_id = $1 AND claimed_until >= now() LIMIT 1', [dictionaryId]);
  if (others.length > 0) return null;
  const revision = await nextRevision(client);
  const { rows } = await client.query<OutboxRow>(TAKE, [dictionaryId, revision]);
  return changesOf(dictionaryId, rows, revision);
}

/** While an index is being built beside, what was sent is kept for it; a row that changed meanwhile is only let go. */
async function finish(client: PoolClient, { dictionaryId, revision, rows: taken }: OutboxClaim): Promise<void> {
  const same = `(dictionary_id, "index") IN (SELECT o.dictionary_id, o."index" FROM search_outbox o
    JOIN unnest($3::int[], $4::bigint[]) c("index", revision) ON o."index" = c."index" AND o.revision = c.revision
    WHERE o.dictionary_id = $1 AND o.claim = $2 FOR UPDATE OF o SKIP LOCKED)`;
  const { rows } = await client.query('SELECT 1 FROM search_build');
  await client.query(rows.length > 0 ? `UPDATE search_outbox SET sent = true, claim = NULL, claimed_until = NULL WHERE ${same}` : `DELETE FROM search_outbox WHERE ${same}`, [
    dictionaryId, revision, taken.map(([index]) => index), taken.map(([, at]) => at),
  ]); // prettier-ignore
  await client.query(`UPDATE search_outbox SET claim = NULL, claimed_until = NULL WHERE ${FREE}`, [dictionaryId, revision]);
}
