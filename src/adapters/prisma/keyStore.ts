import type { Pool } from 'pg';
import { CallerError } from '../../domain/errors.ts';
import { SCOPES, type Scope } from '../../domain/viewer.ts';
import type { ApiKey, Charge, KeyStore, KeyUse } from '../../ports/KeyStore.ts';
import { databaseError } from './transaction.ts';

const TODAY = `(now() AT TIME ZONE 'UTC')::date`;
const RENEWS = `to_char(${TODAY} + 1, 'YYYY-MM-DD"T"00:00:00.000"Z"')`;
const COLUMNS = 'k.id, k.name, k.scopes, k.models, k.quota::float8 AS quota, k.created_at, k.revoked_at';
const UNIQUE_VIOLATION = '23505';

/**
 * The day's row is inserted or raised only where the key is not revoked and the sum stays within its quota. Charges of one key on
 * one day wait for each other at that row, so what is spent never passes the quota, whoever asks.
 */
const CHARGE = `INSERT INTO api_key_use AS u (key_id, day, cost)
  SELECT k.id, ${TODAY}, $2 FROM api_key k WHERE k.id = $1 AND k.revoked_at IS NULL AND (k.quota IS NULL OR $2 <= k.quota)
  ON CONFLICT (key_id, day) DO UPDATE SET cost = u.cost + excluded.cost
    WHERE NOT EXISTS (SELECT 1 FROM api_key k WHERE k.id = u.key_id AND u.cost + excluded.cost > k.quota)
  RETURNING u.cost::float8 AS used, (SELECT quota::float8 FROM api_key WHERE id = u.key_id) AS quota, ${RENEWS} AS renews`;

const SPENT = `SELECT coalesce((SELECT u.cost FROM api_key_use u WHERE u.key_id = k.id AND u.day = ${TODAY}), 0)::float8 AS used, k.quota::float8 AS quota, ${RENEWS} AS renews
  FROM api_key k WHERE k.id = $1 AND k.revoked_at IS NULL`;

const LIST = `SELECT ${COLUMNS}, coalesce(max(u.cost) FILTER (WHERE u.day = ${TODAY}), 0)::float8 AS used, to_char(max(u.day), 'YYYY-MM-DD') AS last
  FROM api_key k LEFT JOIN api_key_use u ON u.key_id = k.id GROUP BY k.id ORDER BY k.created_at, k.id`;

interface StoredKey {
  readonly id: string;
  readonly name: string;
  readonly scopes: readonly string[];
  readonly models: readonly string[];
  readonly quota: number | null;
  readonly created_at: Date;
  readonly revoked_at: Date | null;
}

interface Spent {
  readonly used: number;
  readonly quota: number | null;
  readonly renews: string;
}

/** Keys in PostgreSQL: one statement a method, two where a charge is refused. */
export function keyStore(pool: Pool): KeyStore {
  const ask = async <Row extends object>(text: string, values: readonly unknown[] = []): Promise<Row[]> => {
    try {
      return (await pool.query<Row>(text, [...values])).rows;
    } catch (error) {
      throw databaseError(error);
    }
  };
  return {
    async create({ id, name, scopes, models, quota }, secretHash) {
      try {
        await pool.query('INSERT INTO api_key (id, name, secret_hash, scopes, models, quota) VALUES ($1, $2, $3, $4, $5, $6)', [id, name, Buffer.from(secretHash), scopes, models, quota]);
      } catch (error) {
        if ((error as { code?: unknown }).code !== UNIQUE_VIOLATION) throw databaseError(error);
        throw new CallerError('BAD_INPUT', `there is, or was, a key named ${name}: names are never used twice, choose another`, { cause: error });
      }
    },
    async list() {
      const rows = await ask<StoredKey & { used: number; last: string | null }>(LIST);
      return rows.map((row): KeyUse => ({ ...keyOf(row), usedToday: row.used, lastUsed: row.last }));
    },
    async revoke(id) {
      return (await ask('UPDATE api_key SET revoked_at = coalesce(revoked_at, now()) WHERE id = $1 RETURNING id', [id])).length > 0;
    },
    async find(id, secretHash) {
      const [row] = await ask<StoredKey>(`SELECT ${COLUMNS} FROM api_key k WHERE k.secret_hash = $1 AND k.id = $2 AND k.revoked_at IS NULL`, [Buffer.from(secretHash), id]);
      return row === undefined ? null : keyOf(row);
    },
    async state() {
      const [row] = await ask<{ any: boolean; patch: boolean }>(`SELECT EXISTS (SELECT 1 FROM api_key) AS any, EXISTS (SELECT 1 FROM api_key WHERE revoked_at IS NULL AND scopes && '{patch,admin}') AS patch`);
      return row!;
    },
    async charge(id, cost): Promise<Charge> {
      const [charged] = await ask<Spent>(CHARGE, [id, cost]);
      if (charged !== undefined) return { outcome: 'charged', used: charged.used, quota: charged.quota, renewsAt: charged.renews };
      const [spent] = await ask<Spent>(SPENT, [id]);
      return spent === undefined ? { outcome: 'unknown' } : { outcome: 'refused', used: spent.used, quota: spent.quota, renewsAt: spent.renews };
    },
    async restricted() {
      return (await ask<{ name: string }>('SELECT name FROM model WHERE restricted ORDER BY name')).map(({ name }) => name);
    },
    async restrict(model, restricted) {
      return (await ask('UPDATE model SET restricted = $2 WHERE name = $1 RETURNING id', [model, restricted])).length > 0;
    },
  };
}

function keyOf({ id, name, scopes, models, quota, created_at, revoked_at }: StoredKey): ApiKey {
  const known = SCOPES.filter((scope): scope is Scope => scopes.includes(scope));
  return { id, name, scopes: known, models, quota, createdAt: created_at.toISOString(), revokedAt: revoked_at?.toISOString() ?? null };
}
