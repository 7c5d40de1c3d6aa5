import type { FeatureFilter, ScoreFilter } from '../../ports/CatalogReader.ts';
import { EDGE_BITS } from './edgeFlags.ts';

export type Bind = (value: unknown, type: string) => string;

/**
 * A condition that few features may satisfy and that has an index of its own.
 *   members   features of dictionary `d.id` that satisfy it, as `"index"`, `most` of each of its index ranges; each is read in the order
 *             of its index, so that the planner does not read the table instead
 *   holds     whether feature `f` does, written so that no index but the one being read is used for it
 */
export interface Membership {
  readonly members: string;
  readonly holds: string;
}

/** Instruments of the filter there are: ids of score_group(). */
export type ScoreGroups = readonly string[];

/** Which combinations of explainer, judge and dictionary a scorer has: a loose scan, one probe for each group of a dictionary. */
export const SCORE_GROUPS = `WITH RECURSIVE g(d, id) AS (
    SELECT d, (SELECT score_group(explainer, scorer, judge) FROM score WHERE dictionary_id = d AND value IS NOT NULL ORDER BY score_group(explainer, scorer, judge) LIMIT 1)
    FROM unnest($1::int[]) AS d
  UNION ALL
    SELECT g.d, (SELECT score_group(explainer, scorer, judge) FROM score
      WHERE dictionary_id = g.d AND value IS NOT NULL AND score_group(explainer, scorer, judge) > g.id ORDER BY score_group(explainer, scorer, judge) LIMIT 1)
    FROM g WHERE g.id IS NOT NULL
  )
  SELECT DISTINCT g.id::text FROM g CROSS JOIN LATERAL (
    SELECT explainer, scorer, judge FROM score WHERE dictionary_id = g.d AND value IS NOT NULL AND score_group(explainer, scorer, judge) = g.id LIMIT 1) named
  WHERE g.id IS NOT NULL AND named.scorer = $2 AND ($3::text IS NULL OR named.judge = $3) AND ($4::text IS NULL OR named.explainer = $4)
  ORDER BY 1`;

/** Conditions on columns of feature `f`; the planner weighs their indices against the order's. */
export function columnConditions(filter: FeatureFilter, bind: Bind): string {
  let sql = '';
  const range = (column: string, min: number | undefined, max: number | undefined): void => {
    if (min !== undefined) sql += ` AND f.${column} >= ${bind(min, 'float8')}`;
    if (max !== undefined) sql += ` AND f.${column} <= ${bind(max, 'float8')}`;
  };
  range('density', filter.minDensity, filter.maxDensity);
  range('max_activation', filter.minActivation, filter.maxActivation);
  range('best_score', filter.minScore, filter.maxScore);
  return sql;
}

/** The filter's other conditions. `groups`: those of filter.score; null where it says nothing here (no such filter, or it is the order). */
export function membershipsOf(filter: FeatureFilter, groups: ScoreGroups | null, most: number, bind: Bind): readonly Membership[] {
  const found: Membership[] = [];
  const { explained, explainer, hasIncoming, hasOutgoing, hasOutputs, score } = filter;
  // The first that is small is looked at: few features fire on a token, many are explained or have edges.
  if (filter.tokenId !== undefined) {
    const token = bind(filter.tokenId, 'int');
    found.push({
      members: `SELECT m."index" FROM feature_token m WHERE m.dictionary_id = d.id AND m.token_id = ${token} ORDER BY m.share DESC, m."index"`,
      holds: `(SELECT true FROM feature_token m WHERE m.dictionary_id = f.dictionary_id AND m."index" = f."index" AND m.token_id = ${token} LIMIT 1)`,
    });
  }
  if ([explained, hasIncoming, hasOutgoing, hasOutputs].some((flag) => flag !== undefined)) {
    const bits = Array.from({ length: 8 }, (_, mask) => mask).filter((mask) =>
      ([[hasIncoming, EDGE_BITS.incoming], [hasOutgoing, EDGE_BITS.outgoing], [hasOutputs, EDGE_BITS.outputs]] as const).every(([wanted, bit]) => wanted === undefined || wanted === ((mask & bit) !== 0)),
    );
    const [flags, masks] = [bind(explained === undefined ? [false, true] : [explained], 'boolean[]'), bind(bits, 'smallint[]')];
    found.push({
      members: `SELECT m."index" FROM unnest(${flags}) AS x(explained) CROSS JOIN unnest(${masks}) AS y(edges) CROSS JOIN LATERAL (
        SELECT "index" FROM feature WHERE dictionary_id = d.id AND explained = x.explained AND edges = y.edges ORDER BY "index" LIMIT ${most}) m`,
      // array_position is no index operator.
      holds: `array_position(${flags}, f.explained) IS NOT NULL AND array_position(${masks}, f.edges) IS NOT NULL`,
    });
  }
  if (explainer !== undefined) {
    const name = bind(explainer, 'text');
    found.push({
      members: `SELECT m."index" FROM explanation m WHERE m.dictionary_id = d.id AND m.explainer = ${name} ORDER BY m."index"`,
      // A scalar subquery stays one: the planner would turn EXISTS into a join that may read the whole table.
      holds: `(SELECT true FROM explanation m WHERE m.dictionary_id = f.dictionary_id AND m."index" = f."index" AND m.explainer = ${name} LIMIT 1)`,
    });
  }
  if (score !== undefined && groups !== null) {
    const ids = bind(groups, 'bigint[]');
    found.push({
      members: `SELECT m."index" FROM unnest(${ids}) AS g(id) CROSS JOIN LATERAL (
        SELECT s."index" FROM score s WHERE s.dictionary_id = d.id AND score_group(s.explainer, s.scorer, s.judge) = g.id AND s.value IS NOT NULL${valueRange(score, bind)} ORDER BY s.value DESC LIMIT ${most}) m`,
      holds: `(SELECT true FROM score s WHERE s.dictionary_id = f.dictionary_id AND s."index" = f."index"${scoreNames(score, bind)} AND s.value IS NOT NULL${valueRange(score, bind)} LIMIT 1)`,
    });
  }
  return found;
}

/** By names, so that a feature's scores are found by their key. */
export function scoreNames({ scorer, judge, explainer }: ScoreFilter, bind: Bind): string {
  return ` AND s.scorer = ${bind(scorer, 'text')}${judge === undefined ? '' : ` AND s.judge = ${bind(judge, 'text')}`}${explainer === undefined ? '' : ` AND s.explainer = ${bind(explainer, 'text')}`}`;
}

export function valueRange({ min, max }: ScoreFilter, bind: Bind): string {
  return `${min === undefined ? '' : ` AND s.value >= ${bind(min, 'float8')}`}${max === undefined ? '' : ` AND s.value <= ${bind(max, 'float8')}`}`;
}
