import type { Client, Pool, PoolClient } from 'pg';
import { CopyLane, CopyTable } from './copyTable.ts';
import { FEATURE_TOKEN_COLUMNS, writeTokens } from './featureTokens.ts';
import { lockDictionary } from './loadDictionary.ts';
import { kindOf, unpackWindows } from './pack.ts';
import { transaction } from './transaction.ts';

/** Features read at once. */
const CHUNK = 256;

/** Dictionaries that fire, and whose features have no tokens: loaded before there were any. A few probes of an index each, in its order, so that no table is read instead. */
const WITHOUT = `SELECT d.id, m.name AS model, d.name FROM dictionary d JOIN model m ON m.id = d.model_id
  WHERE (SELECT true FROM feature_token WHERE dictionary_id = d.id ORDER BY "index", token_id LIMIT 1) IS NULL
    AND (SELECT true FROM feature WHERE dictionary_id = d.id AND max_activation > 0 ORDER BY max_activation DESC, "index" LIMIT 1)
    AND (SELECT true FROM exemplar WHERE dictionary_id = d.id ORDER BY "index", kind LIMIT 1)
  ORDER BY d.id`;

const WINDOWS = `SELECT f."index", f.max_activation AS "maxActivation", x.kind, x.windows FROM feature f JOIN exemplar x USING (dictionary_id, "index")
  WHERE dictionary_id = $1 AND "index" >= $2 AND "index" < $3 ORDER BY "index", x.kind`;

interface Cells {
  readonly index: number;
  readonly maxActivation: number;
  readonly kind: number;
  readonly windows: Buffer;
}

/**
 * What the migration of feature_token could not do, since exemplars are packed: the tokens of features that were loaded before it, from
 * their exemplars, as a load writes them. One transaction a dictionary, so a process that is killed has lost one at most; constant memory.
 */
export async function fillFeatureTokens(client: Client, pool: Pool): Promise<void> {
  const { rows: tables } = await client.query<{ present: boolean }>(`SELECT to_regclass('feature_token') IS NOT NULL AS present`);
  if (tables[0]?.present !== true) return;
  const { rows } = await client.query<{ id: number; model: string; name: string }>(WITHOUT);
  for (const { id, model, name } of rows) {
    await transaction(pool, async (connection) => {
      await lockDictionary(connection, model, name);
      // It may have been loaded meanwhile.
      const { rows: still } = await connection.query<{ id: number }>(WITHOUT);
      if (still.some((one) => one.id === id)) await fill(connection, id);
    });
  }
}

async function fill(client: PoolClient, id: number): Promise<void> {
  const { rows } = await client.query<{ end: number }>('SELECT max("index") + 1 AS end FROM feature WHERE dictionary_id = $1', [id]);
  const lane = new CopyLane(client);
  const table = new CopyTable(lane, 'feature_token', FEATURE_TOKEN_COLUMNS);
  for (let from = 0; from < rows[0]!.end; from += CHUNK) {
    await lane.idle();
    const { rows: cells } = await client.query<Cells>(WINDOWS, [id, from, from + CHUNK]);
    for (const [index, own] of Map.groupBy(cells, (cell) => cell.index)) {
      const exemplars = own.flatMap(({ kind, windows }) => unpackWindows(windows, kindOf(kind), Number.POSITIVE_INFINITY));
      writeTokens(table, id, { index, maxActivation: own[0]!.maxActivation, exemplars });
      await table.flushIfFull();
    }
  }
  await table.flush();
  await lane.idle();
}
