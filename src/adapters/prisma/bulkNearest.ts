import type { PoolClient } from 'pg';
import type { BulkMeasured } from '../../ports/CatalogBulk.ts';
import { CopyLane, CopyTable } from './copyTable.ts';
import { natural, packNeighbours } from './pack.ts';

/** A dictionary of the catalog. */
export interface Place {
  readonly id: number;
  readonly name: string;
  readonly features: number;
  /** Of its weights. */
  readonly hash: string;
  readonly model: number;
  readonly vocab: number;
}

/**
 * Inside the caller's transaction, which holds the model's edges: what is near the features of `own`. Rows that name a dictionary which
 * is not there, or has other weights, are counted in `without`. Returns the rows written.
 */
export async function restoreNearest(client: PoolClient, { indices, nearest, model }: BulkMeasured, own: Place, byName: ReadonlyMap<string, Place>, without: Map<string, number>): Promise<number> {
  await client.query('DELETE FROM nearest_feature WHERE dictionary_id = $1 AND ($2::int[] IS NULL OR "index" = ANY($2))', [own.id, indices]);
  if (indices === null) await client.query('DELETE FROM nearest_pair WHERE dictionary_id = $1', [own.id]);
  const lane = new CopyLane(client);
  const table = new CopyTable(lane, 'nearest_feature', ['dictionary_id', 'index', 'target_dictionary_id', 'entries']);
  const runs = new Map<Place, string>();
  for await (const { index, targetDictionary, targetWeightsHash, neighbours, run } of nearest) {
    const target = byName.get(targetDictionary);
    if (target === undefined || target.hash !== targetWeightsHash) {
      without.set(targetDictionary, (without.get(targetDictionary) ?? 0) + 1);
      continue;
    }
    runs.set(target, run);
    table.row();
    table.int4(own.id);
    table.int4(natural(index, own.features - 1, `feature of ${model}/${own.name} with nearest features`));
    table.int4(target.id);
    for (const near of neighbours) natural(near.index, target.features - 1, `nearest feature in ${model}/${target.name}`);
    table.bytes(packNeighbours(neighbours));
    await table.flushIfFull();
  }
  await table.flush();
  await lane.idle();
  for (const [target, run] of runs) {
    await client.query(
      `INSERT INTO nearest_pair (dictionary_id, target_dictionary_id, weights_hash, target_weights_hash, run) VALUES ($1, $2, $3, $4, $5)
       ON CONFLICT (dictionary_id, target_dictionary_id) DO UPDATE SET (weights_hash, target_weights_hash, run) = (excluded.weights_hash, excluded.target_weights_hash, excluded.run)`,
      [own.id, target.id, own.hash, target.hash, run],
    );
  }
  return table.rows;
}
