import type { PoolClient } from 'pg';
import { CallerError } from '../../domain/errors.ts';
import type { FeatureKey, NearestRow } from '../../ports/CatalogReader.ts';
import type { NearestCounts, NearestLoad } from '../../ports/CatalogWriter.ts';
import type { Nearest } from '../../ports/NearestRows.ts';
import { CopyLane, CopyTable } from './copyTable.ts';
import { lockEdges } from './edgeFlags.ts';
import { natural, unpackNeighbours } from './pack.ts';
import { saveRun } from './writeExplanations.ts';

interface Place {
  readonly id: number;
  readonly name: string;
  readonly features: number;
  readonly hash: string;
}

/** Inside the caller's transaction: replaces each pair that another run measured; see CatalogWriter. */
export async function loadNearest(client: PoolClient, model: string, pairs: readonly NearestLoad[]): Promise<NearestCounts> {
  // Nobody gives a dictionary of the model other weights until this transaction ends.
  await lockEdges(client, model, 'exclusive');
  const { rows } = await client.query<Place>(
    'SELECT d.id, d.name, d.n_features AS features, d.weights_hash AS hash FROM dictionary d JOIN model m ON m.id = d.model_id WHERE m.name = $1',
    [model],
  );
  const places = new Map(rows.map((row) => [row.name, row]));
  const { rows: there } = await client.query<[number, number, string, string, string]>({
    text: 'SELECT dictionary_id, target_dictionary_id, weights_hash, target_weights_hash, run FROM nearest_pair WHERE dictionary_id = ANY($1::int[])',
    values: [rows.map(({ id }) => id)],
    rowMode: 'array',
  });
  const known = new Map(there.map(([source, target, ...measured]) => [`${source} ${target}`, measured.join()]));
  const seen = new Set<string>();
  const saved = new Set<string>();
  const lane = new CopyLane(client);
  let [written, kept] = [0, 0];
  for (const { run, from, to, read } of pairs) {
    const [source, target] = [from, to].map((end) => placeOf(places, model, end));
    const name = `${source.id} ${target.id}`;
    if (source.id === target.id || seen.has(name)) throw new CallerError('BAD_INPUT', `nearest features of ${model}/${from.dictionary} in ${to.dictionary}: expected pairs of two dictionaries, each once`);
    seen.add(name);
    if (known.get(name) === [source.hash, target.hash, run.key].join()) {
      kept++;
      continue;
    }
    if (!saved.has(run.key)) await saveRun(client, run);
    saved.add(run.key);
    const pair = [source.id, target.id];
    if (known.has(name)) await client.query('DELETE FROM nearest_feature WHERE dictionary_id = $1 AND target_dictionary_id = $2', pair);
    await writePair(lane, source, target, await read());
    await client.query(
      `INSERT INTO nearest_pair (dictionary_id, target_dictionary_id, weights_hash, target_weights_hash, run) VALUES ($1, $2, $3, $4, $5)
       ON CONFLICT (dictionary_id, target_dictionary_id) DO UPDATE SET (weights_hash, target_weights_hash, run) = (excluded.weights_hash, excluded.target_weights_hash, excluded.run)`,
      [...pair, source.hash, target.hash, run.key],
    );
    written++;
  }
  return { pairs: written, kept };
}

/** Inside the caller's transaction: a dictionary gets other weights, so that nothing near its features is known any more. */
export async function forgetNearest(client: PoolClient, id: number): Promise<void> {
  await client.query('DELETE FROM nearest_feature WHERE dictionary_id = $1', [id]);
  await client.query('DELETE FROM nearest_feature WHERE target_dictionary_id = $1 AND dictionary_id IN (SELECT dictionary_id FROM nearest_pair WHERE target_dictionary_id = $1)', [id]);
  await client.query('DELETE FROM nearest_pair WHERE dictionary_id = $1 OR target_dictionary_id = $1', [id]);
}

/** Entries of each key with their run; only where both dictionaries have the weights that were compared. */
export const NEAREST = `SELECT k.n, x.target_dictionary_id, x.entries, p.run FROM unnest($1::int[], $2::int[]) WITH ORDINALITY AS k(d, i, n)
  CROSS JOIN LATERAL (SELECT target_dictionary_id, entries FROM nearest_feature WHERE dictionary_id = k.d AND "index" = k.i OFFSET 0) x
  CROSS JOIN LATERAL (
    SELECT q.run FROM nearest_pair q
    JOIN dictionary s ON s.id = q.dictionary_id AND s.weights_hash = q.weights_hash
    JOIN dictionary t ON t.id = q.target_dictionary_id AND t.weights_hash = q.target_weights_hash
    WHERE q.dictionary_id = k.d AND q.target_dictionary_id = x.target_dictionary_id LIMIT 1) p`;

/** [place in the batch from 1, dictionary, packed (index, cosine), run]. */
export type NearestCells = readonly [string, number, Buffer, string];

/** Of each key, over all dictionaries: strongest first, then by dictionary and index. */
export function nearestRows(keys: readonly FeatureKey[], cells: readonly NearestCells[]): NearestRow[][] {
  const answer = keys.map((): NearestRow[] => []);
  for (const [n, dictionaryId, entries, run] of cells) for (const { index, cosine } of unpackNeighbours(entries)) answer[Number(n) - 1].push({ dictionaryId, index, cosine, run });
  for (const rows of answer) rows.sort((a, b) => b.cosine - a.cosine || a.dictionaryId - b.dictionaryId || a.index - b.index);
  return answer;
}

function placeOf(places: ReadonlyMap<string, Place>, model: string, { dictionary, weightsHash }: NearestLoad['from']): Place {
  const found = places.get(dictionary);
  if (found === undefined) throw new CallerError('NOT_FOUND', `the catalog has no dictionary ${model}/${dictionary}: load it before its nearest features`);
  if (found.hash !== weightsHash) throw new CallerError('STALE_OUTPUT', `the catalog's dictionary ${model}/${dictionary} has other weights than the one compared: load it again, or run the nearest stage again`);
  return found;
}

async function writePair(lane: CopyLane, source: Place, target: Place, { k, indices, cosines }: Nearest): Promise<void> {
  const what = `nearest features of ${source.name} in ${target.name}`;
  if (indices.length !== source.features * k || cosines.length !== indices.length) {
    throw new CallerError('BAD_INPUT', `${what}: found ${indices.length} indices and ${cosines.length} cosines, expected ${k} of each for ${source.features} features`);
  }
  const table = new CopyTable(lane, 'nearest_feature', ['dictionary_id', 'index', 'target_dictionary_id', 'entries']);
  const bytes = Buffer.allocUnsafe(8 * k);
  for (let i = 0; i < source.features; i++) {
    let at = 0;
    for (let e = i * k; e < (i + 1) * k && indices[e] >= 0; e++) {
      if (!(cosines[e] >= -1 && cosines[e] <= 1)) throw new CallerError('BAD_INPUT', `${what}: feature ${i} has the cosine ${cosines[e]}, expected -1 to 1`);
      at = bytes.writeFloatLE(cosines[e], bytes.writeUInt32LE(natural(indices[e], target.features - 1, `${what}: index`), at));
    }
    // A direction of zero has none.
    if (at === 0) continue;
    table.row();
    table.int4(source.id);
    table.int4(i);
    table.int4(target.id);
    table.bytes(bytes.subarray(0, at));
    await table.flushIfFull();
  }
  await table.flush();
  await lane.idle();
}
