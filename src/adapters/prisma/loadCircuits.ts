import type { PoolClient } from 'pg';
import { CallerError } from '../../domain/errors.ts';
import type { CircuitEdge, OutputEdge } from '../../domain/feature.ts';
import type { CircuitCounts, CircuitsLoad } from '../../ports/CatalogWriter.ts';
import { CopyLane, CopyTable } from './copyTable.ts';
import { lockEdges, refreshEdgeFlags } from './edgeFlags.ts';
import { finite, natural } from './pack.ts';
import { saveRun } from './writeExplanations.ts';

const I32 = 0x7fff_ffff;
const MEASURED = ['effect', 'strength', 'standard_error', 'n', 'run'];

/** Inside the caller's transaction: replaces the edges among dictionaries of a model, and theirs to output tokens; see CatalogWriter. */
export async function loadCircuits(client: PoolClient, model: string, circuits: readonly CircuitsLoad[], among?: readonly string[]): Promise<CircuitCounts> {
  await lockEdges(client, model, 'exclusive');
  for (const { run } of circuits) await saveRun(client, run);
  const places = await placesOf(client, model, among);
  await client.query('DELETE FROM circuit_edge WHERE target_dictionary_id = ANY($1) AND source_dictionary_id = ANY($1)', [places.ids]);
  await client.query('DELETE FROM output_edge WHERE source_dictionary_id = ANY($1)', [places.ids]);
  const lane = new CopyLane(client);
  const features = new CopyTable(lane, 'circuit_edge', ['target_dictionary_id', 'target_index', 'source_dictionary_id', 'source_index', ...MEASURED]);
  const tokens = new CopyTable(lane, 'output_edge', ['source_dictionary_id', 'source_index', 'model_id', 'token_id', ...MEASURED]);
  const seen = { features: new Seen(circuits.length), tokens: new Seen(circuits.length) };
  for (const { run, edges, outputs } of circuits) {
    for await (const edge of edges) {
      const what = `edge ${edge.sourceDictionary}/${edge.sourceIndex} to ${edge.targetDictionary}/${edge.targetIndex}`;
      if (seen.features.before(`${edge.sourceDictionary} ${edge.targetDictionary}/${edge.targetIndex}`, run.key)) continue;
      features.row();
      places.write(features, edge.targetDictionary, edge.targetIndex);
      places.write(features, edge.sourceDictionary, edge.sourceIndex);
      writeMeasured(features, edge, run.key, what);
      await features.flushIfFull();
    }
    for await (const edge of outputs ?? []) {
      const what = `edge ${edge.sourceDictionary}/${edge.sourceIndex} to token ${edge.tokenId}`;
      if (seen.tokens.before(`${edge.sourceDictionary} ${edge.tokenId}`, run.key)) continue;
      tokens.row();
      places.write(tokens, edge.sourceDictionary, edge.sourceIndex);
      tokens.int4(places.modelId);
      tokens.int4(natural(edge.tokenId, places.vocabSize - 1, `token of an edge from ${model}/${edge.sourceDictionary}/${edge.sourceIndex}`));
      writeMeasured(tokens, edge, run.key, what);
      await tokens.flushIfFull();
    }
  }
  await features.flush();
  await tokens.flush();
  await lane.idle();
  await refreshEdgeFlags(client, places.ids);
  return { edges: features.rows, outputs: tokens.rows };
}

/**
 * Which targets an earlier run of the load gave edges to, from which dictionary: what a run kept of them is kept whole, so that no
 * target has some edges of one run beside those that another run found too weak. Memory: an entry a target and dictionary. A run that gives an edge twice is refused by the table's key. */
class Seen {
  readonly #by: Map<string, string> | null;

  constructor(runs: number) {
    this.#by = runs > 1 ? new Map() : null;
  }

  before(edges: string, run: string): boolean {
    if (this.#by === null) return false;
    const first = this.#by.get(edges);
    if (first === undefined) this.#by.set(edges, run);
    return first !== undefined && first !== run;
  }
}

function writeMeasured(table: CopyTable, edge: CircuitEdge | OutputEdge, run: string, what: string): void {
  table.float8(finite(edge.effect, `effect of ${what}`));
  table.float8(Math.abs(edge.effect));
  table.float8(finite(edge.standardError, `standard error of ${what}`));
  table.int4(natural(edge.n, I32, `n of ${what}`));
  table.text(run);
}

/** Ids of the model and its dictionaries; features outside them, or of dictionaries not in `among`, are refused. */
async function placesOf(client: PoolClient, model: string, among?: readonly string[]) {
  const { rows: models } = await client.query<{ id: number; vocab: number }>('SELECT id, vocab_size AS vocab FROM model WHERE name = $1', [model]);
  const [found] = models;
  if (found === undefined) throw new CallerError('NOT_FOUND', `the catalog has no model "${model}": load the model before its circuits`);
  const { rows } = await client.query<{ id: number; name: string; features: number }>('SELECT id, name, n_features AS features FROM dictionary WHERE model_id = $1', [found.id]);
  const dictionaries = new Map(rows.map(({ id, name, features }) => [name, { id, features }]));
  const replaced = among ?? [...dictionaries.keys()];
  return {
    modelId: found.id,
    vocabSize: found.vocab,
    ids: replaced.flatMap((name) => dictionaries.get(name)?.id ?? []),
    write(table: CopyTable, name: string, index: number): void {
      const dictionary = dictionaries.get(name);
      if (dictionary === undefined) throw new CallerError('NOT_FOUND', `an edge names dictionary ${model}/${name}, which the catalog does not have: load it first`);
      if (!replaced.includes(name)) throw new CallerError('BAD_INPUT', `an edge names dictionary ${model}/${name}: expected one of ${replaced.join(', ')}`);
      table.int4(dictionary.id);
      table.int4(natural(index, dictionary.features - 1, `feature of an edge in ${model}/${name}`));
    },
  };
}
