import type { Pool } from 'pg';
import { CallerError } from '../../domain/errors.ts';
import type { Annotations, Annotator, FeatureListRow, ListEntryRow, NoteRow } from '../../ports/Annotations.ts';
import type { FeatureKey } from '../../ports/CatalogReader.ts';
import { personExplanations } from './personExplanations.ts';
import { databaseError, transaction } from './transaction.ts';

const UNIQUE_VIOLATION = '23505';
/** $1 owner, $2 admin, $3 hidden models. */
const READABLE = '(x.public OR x.owner = $1 OR $2::boolean)';
const SHOWN = (table: string): string => `NOT EXISTS (SELECT 1 FROM dictionary d JOIN model m ON m.id = d.model_id WHERE d.id = ${table}.dictionary_id AND m.name = ANY($3::text[]))`;
const NOTE = 'x.id::float8 AS id, x.dictionary_id AS "dictionaryId", x."index", x.owner, x.author, x.public, x.text, x.created_at AS "createdAt"';
const LIST = `SELECT x.id::float8 AS id, x.owner, x.author, x.public, x.name, x.description, x.created_at AS "createdAt",
  (SELECT count(*)::int FROM feature_list_entry e WHERE e.list_id = x.id AND ${SHOWN('e')}) AS size FROM feature_list x WHERE ${READABLE}`;

type Dated<T extends { readonly createdAt: string }> = Omit<T, 'createdAt'> & { readonly createdAt: Date };

/** Notes, lists and explanations of people in PostgreSQL. */
export function annotations(pool: Pool): Annotations {
  const ask = async <Row extends object>(text: string, values: readonly unknown[]): Promise<Row[]> => {
    try {
      return (await pool.query<Row>(text, [...values])).rows;
    } catch (error) {
      throw databaseError(error);
    }
  };
  const named = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      if ((error as { code?: unknown }).code !== UNIQUE_VIOLATION) throw databaseError(error);
      throw new CallerError('BAD_INPUT', `there is a list ${JSON.stringify(name)} of yours already: choose another name`, { cause: error, field: ['name'] });
    }
  };
  const of = ({ owner, admin, hidden }: Annotator): readonly unknown[] => [owner, admin, hidden];
  return {
    async notes(keys, who, limit, after) {
      const answer: NoteRow[][] = keys.map(() => []);
      const rows = await ask<Dated<NoteRow> & { n: string }>(
        `SELECT k.n, x.* FROM unnest($4::int[], $5::int[]) WITH ORDINALITY AS k(d, i, n)
         CROSS JOIN LATERAL (SELECT ${NOTE} FROM note x WHERE x.dictionary_id = k.d AND x."index" = k.i AND x.id > $7 AND ${READABLE} AND ${SHOWN('x')} ORDER BY x.id LIMIT $6) x
         ORDER BY k.n, x.id`,
        [...of(who), keys.map((key) => key.dictionaryId), keys.map((key) => key.index), limit, after],
      );
      for (const { n, ...row } of rows) answer[Number(n) - 1]!.push(dated(row));
      return answer;
    },
    async note(id, who) {
      const [row] = await ask<Dated<NoteRow>>(`SELECT ${NOTE} FROM note x WHERE x.id = $4 AND ${READABLE} AND ${SHOWN('x')}`, [...of(who), id]);
      return row === undefined ? null : dated(row);
    },
    async addNote({ dictionaryId, index }, { owner, author }, text, shown, most) {
      return transaction(pool, async (client) => {
        await lock(client, `note ${owner} ${dictionaryId}/${index}`);
        const { rows } = await client.query<Dated<NoteRow>>(
          `WITH own AS (SELECT * FROM note WHERE dictionary_id = $1 AND "index" = $2 AND owner = $3),
             added AS (INSERT INTO note (dictionary_id, "index", owner, author, public, text)
               SELECT $1, $2, $3, $4, $5, $6 WHERE (SELECT count(*) FROM own) < $7 AND NOT EXISTS (SELECT 1 FROM own WHERE text = $6 AND public = $5) RETURNING *)
           SELECT ${NOTE} FROM (SELECT * FROM added UNION ALL SELECT * FROM own WHERE text = $6 AND public = $5) x LIMIT 1`,
          [dictionaryId, index, owner, author, shown, text, most],
        );
        return rows[0] === undefined ? null : dated(rows[0]);
      });
    },
    deleteNote: async (id) => void (await ask('DELETE FROM note WHERE id = $1', [id])),
    async lists(who, own, limit, after) {
      return (await ask<Dated<FeatureListRow>>(`${LIST} AND x.id > $4 AND (NOT $6::boolean OR x.owner = $1) ORDER BY x.id LIMIT $5`, [...of(who), after, limit, own])).map(dated);
    },
    async list(id, who) {
      const [row] = await ask<Dated<FeatureListRow>>(`${LIST} AND x.id = $4`, [...of(who), id]);
      return row === undefined ? null : dated(row);
    },
    async addList({ owner, author }, { name, description, public: shown }, most) {
      return transaction(pool, async (client) => {
        await lock(client, `lists ${owner}`);
        const { rows } = await named(name, () =>
          client.query<{ id: number }>(
            `INSERT INTO feature_list (owner, author, public, name, description)
             SELECT $1, $2, $3, $4, $5 WHERE (SELECT count(*) FROM feature_list WHERE owner = $1) < $6 RETURNING id::float8 AS id`,
            [owner, author, shown, name, description, most],
          ),
        );
        return rows[0]?.id ?? null;
      });
    },
    async changeList(id, { name, description, public: shown }) {
      await named(name, () => pool.query('UPDATE feature_list SET (name, description, public) = ($2, $3, $4) WHERE id = $1', [id, name, description, shown]));
    },
    deleteList: async (id) => void (await ask('DELETE FROM feature_list WHERE id = $1', [id])),
    async entries(list, who, limit, after) {
      const rows = await ask<Omit<ListEntryRow, 'addedAt'> & { addedAt: Date }>(
        `SELECT e.dictionary_id AS "dictionaryId", e."index", e.place::float8 AS place, e.comment, e.added_at AS "addedAt"
         FROM feature_list_entry e JOIN feature_list x ON x.id = e.list_id
         WHERE e.list_id = $4 AND e.place > $5 AND ${READABLE} AND ${SHOWN('e')} ORDER BY e.place LIMIT $6`,
        [...of(who), list, after, limit],
      );
      return rows.map((row) => ({ ...row, addedAt: row.addedAt.toISOString() }));
    },
    async addEntries(list, entries, most) {
      return transaction(pool, async (client) => {
        await lock(client, `list ${list}`);
        // Later ones of the same feature win.
        const distinct = [...new Map(entries.map((entry) => [`${entry.dictionaryId}/${entry.index}`, entry])).values()];
        const { rows } = await client.query<{ size: number }>(
          `SELECT (count(*) + $2 - count(*) FILTER (WHERE (dictionary_id, "index") IN (SELECT * FROM unnest($3::int[], $4::int[]))))::int AS size FROM feature_list_entry WHERE list_id = $1`,
          [list, distinct.length, ...columns(distinct)],
        );
        if (rows[0]!.size > most) return false;
        await client.query(
          `INSERT INTO feature_list_entry (list_id, dictionary_id, "index", comment) SELECT $1, * FROM unnest($2::int[], $3::int[], $4::text[])
           ON CONFLICT (list_id, dictionary_id, "index") DO UPDATE SET comment = excluded.comment`,
          [list, ...columns(distinct), distinct.map(({ comment }) => comment)],
        );
        return true;
      });
    },
    async removeEntries(list, keys) {
      await ask(`DELETE FROM feature_list_entry WHERE list_id = $1 AND (dictionary_id, "index") IN (SELECT * FROM unnest($2::int[], $3::int[]))`, [list, ...columns(keys)]);
    },
    ...personExplanations(pool),
  };
}

function columns(keys: readonly FeatureKey[]): [number[], number[]] {
  return [keys.map((key) => key.dictionaryId), keys.map((key) => key.index)];
}

function dated<T extends { readonly createdAt: Date }>(row: T): Omit<T, 'createdAt'> & { readonly createdAt: string } {
  return { ...row, createdAt: row.createdAt.toISOString() };
}

/** Until the transaction ends: so that limits on numbers hold when requests race. */
async function lock(client: { query(text: string, values: unknown[]): Promise<unknown> }, what: string): Promise<void> {
  await client.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [what]);
}
