import type { CircuitRequest, CircuitRows, EdgeRow, FeatureKey, OutputEdgeRow } from '../../ports/CatalogReader.ts';

/** [tokenId or target dictionary, null or target index, source dictionary, source index, effect, standard error, contexts, run]. */
type EdgeCells = [number, number | null, number, number, number, number, number, string];

/** Depth of the edges' sources, and the edges, strongest first. */
export type CircuitLevel = [number, EdgeCells[]];

/** A feature as one number, so that sets of features are arrays: dictionary above 32 bits, index below. */
const key = (dictionary: string, index: string): string => `(${dictionary}::bigint << 32) | ${index}`;

const CELLS = 'source_dictionary_id, source_index, effect, standard_error, contexts, run';

/** Level of a feature that is the target: nothing but itself. */
const FROM_FEATURE = `SELECT 0, ARRAY[${key('$1', '$2')}], ARRAY[${key('$1', '$2')}], 0, '[]'::json`;

/** First level of a token: its strongest sources. */
const FROM_TOKEN = `SELECT 1, found.frontier, found.frontier, found.n, found.edges FROM (
    SELECT coalesce(array_agg(${key('source_dictionary_id', 'source_index')} ORDER BY place), '{}') AS frontier, count(*)::int AS n,
      coalesce(json_agg(json_build_array(token_id, NULL, ${CELLS}) ORDER BY place), '[]') AS edges
    FROM (
      SELECT token_id, source_dictionary_id, source_index, effect, standard_error, n AS contexts, run,
        row_number() OVER (ORDER BY strength DESC, source_dictionary_id, source_index) AS place
      FROM output_edge WHERE model_id = (SELECT id FROM model WHERE name = $1) AND token_id = $2 AND strength >= $4
      ORDER BY strength DESC, source_dictionary_id, source_index LIMIT least($5::int, $6::int + 1)) strongest) found`;

/**
 * The graph upstream of a target, one level a step: each feature of the level before gives its strongest edges, one index
 * range each; of these the strongest are kept until there are one more than `limit`. A level is one row, its features an
 * array, so that LIMIT counts over the whole level, which a recursion over rows could not. No feature is followed twice.
 */
const GROW = (seed: string): string => `WITH RECURSIVE grown(depth, frontier, seen, taken, edges) AS (
  ${seed}
  UNION ALL
  SELECT g.depth + 1, step.frontier, g.seen || step.frontier, g.taken + step.n, step.edges FROM grown g
  CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(DISTINCT source) FILTER (WHERE source <> ALL(g.seen)), '{}') AS frontier, count(*)::int AS n,
      coalesce(json_agg(json_build_array(target_dictionary_id, target_index, ${CELLS}) ORDER BY strength DESC, target_dictionary_id, target_index, source_dictionary_id, source_index), '[]') AS edges
    FROM (
      SELECT e.*, ${key('source_dictionary_id', 'source_index')} AS source FROM unnest(g.frontier) AS f(key)
      CROSS JOIN LATERAL (
        SELECT target_dictionary_id, target_index, source_dictionary_id, source_index, effect, strength, standard_error, n AS contexts, run FROM circuit_edge
        WHERE target_dictionary_id = (f.key >> 32)::int AND target_index = (f.key & 4294967295)::int AND strength >= $4
        ORDER BY strength DESC, source_dictionary_id, source_index LIMIT $5) e
      ORDER BY strength DESC, target_dictionary_id, target_index, source_dictionary_id, source_index
      LIMIT $6::int + 1 - g.taken) picked) step
  WHERE g.depth < $3 AND cardinality(g.frontier) > 0 AND g.taken <= $6
) SELECT depth, edges FROM grown ORDER BY depth`;

const OF_FEATURE = GROW(FROM_FEATURE);
const OF_TOKEN = GROW(FROM_TOKEN);

/** The statement of a request, to be prepared under `name`. */
export function circuitQuery({ target, depth, minEffect, perNode, limit }: CircuitRequest): { name: string; text: string; values: readonly unknown[] } {
  const bounds = [depth, minEffect, perNode, limit];
  return 'model' in target
    ? { name: 'circuit-token', text: OF_TOKEN, values: [target.model, target.id, ...bounds] }
    : { name: 'circuit-feature', text: OF_FEATURE, values: [target.dictionaryId, target.index, ...bounds] };
}

export function circuitRows(levels: readonly CircuitLevel[], limit: number): CircuitRows {
  const edges = levels.flatMap(([depth, cells]) => cells.map((cell) => ({ depth: depth - 1, ...edgeOf(cell) })));
  return { edges: edges.slice(0, limit), truncated: edges.length > limit };
}

type AnyEdge = { readonly kind: 'feature'; readonly row: EdgeRow } | { readonly kind: 'token'; readonly row: OutputEdgeRow };

function edgeOf([target, targetIndex, sourceDictionary, sourceIndex, effect, standardError, n, run]: EdgeCells): AnyEdge {
  const source: FeatureKey = { dictionaryId: sourceDictionary, index: sourceIndex };
  const measured = { source, effect, standardError, n, run };
  return targetIndex === null ? { kind: 'token', row: { ...measured, tokenId: target } } : { kind: 'feature', row: { ...measured, target: { dictionaryId: target, index: targetIndex } } };
}
