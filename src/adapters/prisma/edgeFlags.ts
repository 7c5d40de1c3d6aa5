import type { PoolClient } from 'pg';

/** Bits of feature.edges. */
export const EDGE_BITS = { incoming: 1, outgoing: 2, outputs: 4 } as const;

/** Features of the dictionaries $1 that have edges, with their bits. */
const HAVE = `SELECT d, i, bit_or(bit)::smallint AS bits FROM (
    SELECT target_dictionary_id AS d, target_index AS i, ${EDGE_BITS.incoming} AS bit FROM circuit_edge WHERE target_dictionary_id = ANY($1::int[]) GROUP BY 1, 2
    UNION ALL SELECT source_dictionary_id, source_index, ${EDGE_BITS.outgoing} FROM circuit_edge WHERE source_dictionary_id = ANY($1::int[]) GROUP BY 1, 2
    UNION ALL SELECT source_dictionary_id, source_index, ${EDGE_BITS.outputs} FROM output_edge WHERE source_dictionary_id = ANY($1::int[]) GROUP BY 1, 2
  ) ends GROUP BY 1, 2`;

/**
 * Inside the caller's transaction: who changes a model's edges, or writes its features anew, holds this until the end, so that what
 * features say of their edges stays true. `shared`: the edges stay as they are.
 */
export async function lockEdges(client: PoolClient, model: string, mode: 'shared' | 'exclusive'): Promise<void> {
  await client.query(`SELECT pg_advisory_xact_lock${mode === 'shared' ? '_shared' : ''}(hashtextextended($1, 0))`, [`edges ${model}`]);
}

/** Bits of each feature of a dictionary, by index, as its edges are now. */
export async function edgeFlagsOf(client: PoolClient, id: number, nFeatures: number): Promise<Uint8Array> {
  const flags = new Uint8Array(nFeatures);
  const { rows } = await client.query<[number, number]>({ text: `SELECT i, bits FROM (${HAVE}) have`, values: [[id]], rowMode: 'array' });
  for (const [index, bits] of rows) if (index < nFeatures) flags[index] = bits;
  return flags;
}

/** Brings the bits of these dictionaries' features up to date; writes only those that change. Returns how many. */
export async function refreshEdgeFlags(client: PoolClient, ids: readonly number[]): Promise<number> {
  const { rowCount } = await client.query(
    `WITH have AS MATERIALIZED (${HAVE})
     UPDATE feature f SET edges = coalesce(have.bits, 0)
     FROM feature old LEFT JOIN have ON have.d = old.dictionary_id AND have.i = old."index"
     WHERE old.dictionary_id = ANY($1::int[]) AND old.edges <> coalesce(have.bits, 0) AND f.dictionary_id = old.dictionary_id AND f."index" = old."index"`,
    [ids],
  );
  return rowCount ?? 0;
}

/** Other dictionaries that share an edge with this one. */
export async function dictionariesBeside(client: PoolClient, id: number): Promise<readonly number[]> {
  const { rows } = await client.query<[number]>({
    text: `SELECT source_dictionary_id FROM circuit_edge WHERE target_dictionary_id = $1 AND source_dictionary_id <> $1
           UNION SELECT target_dictionary_id FROM circuit_edge WHERE source_dictionary_id = $1 AND target_dictionary_id <> $1`,
    values: [id],
    rowMode: 'array',
  });
  return rows.map(([other]) => other);
}
