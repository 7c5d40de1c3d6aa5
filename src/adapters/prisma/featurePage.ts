import { CallerError, invariant } from '../../domain/errors.ts';
import type { FeatureCursor, FeatureFilter, FeatureOrder, ScoreFilter } from '../../ports/CatalogReader.ts';
import { columnConditions, membershipsOf, scoreNames, valueRange, type Bind, type ScoreGroups } from './featureFilter.ts';
import { FEATURE_COLUMNS } from './rows.ts';

/**
 * SQL of one page of features. For each dictionary a few index ranges are read, each at most one page long, and their results
 * merged, so a page costs O(page × dictionaries) however deep it lies. The ranges, after the cursor (value v, dictionary d, index i):
 *   same    value = v, from index i on in dictionary d, all of it in later dictionaries, none in earlier ones
 *   beyond  value after v
 *   nulls   features without a value, which come last
 * Ranges of columns narrow the order's own column or are checked along it, as the planner finds cheaper. Other conditions
 * (featureFilter.ts) may hold for very few features, of which a walk along the order would find none for long: in each dictionary the
 * first FEW + 1 features that satisfy one are read from its own index, and when that is all of them, those alone are looked at;
 * otherwise the walk finds a page soon, after n / FEW × page features of n on average.
 */
export interface PageQuery {
  readonly text: string;
  readonly values: readonly unknown[];
}

/** Members looked at rather than walked to: at a million features, a page of 50 by walking is at most 25 thousand of them on average. */
const FEW = 2000;

interface Order {
  /** Of feature f, or of `s`. */
  readonly value: string;
  readonly direction: 'ASC' | 'DESC';
  readonly nullable: boolean;
  /** Ties run backwards too: the order is its opposite's index, read from its end. */
  readonly reversed: boolean;
}

const ORDERS: Readonly<Record<Exclude<FeatureOrder, 'INDEX'>, Order>> = {
  DENSITY_ASC: { value: 'f.density', direction: 'ASC', nullable: false, reversed: false },
  DENSITY_DESC: { value: 'f.density', direction: 'DESC', nullable: false, reversed: false },
  MAX_ACTIVATION_ASC: { value: 'f.max_activation', direction: 'ASC', nullable: false, reversed: true },
  MAX_ACTIVATION_DESC: { value: 'f.max_activation', direction: 'DESC', nullable: false, reversed: false },
  SCORE_ASC: { value: 'f.best_score', direction: 'ASC', nullable: true, reversed: true },
  SCORE_DESC: { value: 'f.best_score', direction: 'DESC', nullable: true, reversed: false },
  SCORER_ASC: { value: 's.value', direction: 'ASC', nullable: false, reversed: true },
  SCORER_DESC: { value: 's.value', direction: 'DESC', nullable: false, reversed: false },
};

export function isScorerOrder(order: FeatureOrder): boolean {
  return order === 'SCORER_ASC' || order === 'SCORER_DESC';
}

/** A range of the order within a dictionary. */
interface Range {
  readonly where: string;
  readonly orderBy: string;
}

/** Asks for first + 1 rows: the extra one says whether there is a next page. `groups`: of filter.score, not empty; null without one. */
export function pageQuery(filter: FeatureFilter, order: FeatureOrder, first: number, after: FeatureCursor | null, groups: ScoreGroups | null = null): PageQuery {
  invariant(filter.dictionaryIds.length > 0, 'featurePage needs a dictionary');
  invariant((filter.score === undefined) === (groups === null), 'featurePage needs the groups of its score filter');
  const values: unknown[] = [];
  const bind: Bind = (value, type) => `$${values.push(value)}::${type}`;
  const dictionaries = bind(filter.dictionaryIds, 'int[]');
  const limit = bind(first + 1, 'int');
  const byScorer = isScorerOrder(order);
  const ranges = rangesOf(order, after, bind);
  const conditions = columnConditions(filter, bind);
  const memberships = membershipsOf(filter, byScorer ? null : groups, FEW + 1, bind);
  const columns = byScorer ? `${FEATURE_COLUMNS}, s.value AS order_value` : FEATURE_COLUMNS;

  const few = memberships.map(({ members }, n) => {
    const known = Array.from({ length: n }, (_, before) => `cardinality(c${before}.m) <= ${FEW}`);
    return ` CROSS JOIN LATERAL (SELECT ARRAY(${members} LIMIT ${n === 0 ? FEW + 1 : `CASE WHEN ${known.join(' OR ')} THEN 0 ELSE ${FEW + 1} END`}) AS m) c${n}`;
  });
  // Which set to look at alone: the first that is small. Those after it were not read, and count as small: `before` keeps them out.
  const small = (n: number): string => [...Array.from({ length: n }, (_, before) => `cardinality(c${before}.m) > ${FEW}`), `cardinality(c${n}.m) <= ${FEW}`].join(' AND ');
  const branches = memberships.flatMap((_, n) => {
    const held = memberships.filter((__, other) => other !== n).map(({ holds }) => ` AND ${holds}`).join('');
    const score = byScorer ? ` CROSS JOIN LATERAL (${bestScoreOf(filter.score!, bind)}) s` : '';
    const source = `(SELECT DISTINCT i FROM unnest(c${n}.m) AS i) AS one CROSS JOIN LATERAL (SELECT * FROM feature WHERE dictionary_id = d.id AND "index" = one.i LIMIT 1) f${score}`;
    return ranges.map(({ where, orderBy }) => `(SELECT ${columns} FROM ${source} WHERE ${small(n)}${where}${conditions}${held} ORDER BY ${orderBy} LIMIT ${limit})`);
  });
  const many = memberships.map((_, n) => ` AND cardinality(c${n}.m) > ${FEW}`).join('');
  const held = memberships.map(({ holds }) => ` AND ${holds}`).join('');
  const walk = byScorer ? scoreWalk(columns, filter.score!, groups!, bind) : (rest: string): string => `(SELECT ${columns} FROM feature f WHERE f.dictionary_id = d.id${rest})`;
  branches.push(...ranges.map(({ where, orderBy }) => walk(`${many}${where}${conditions}${held} ORDER BY ${orderBy} LIMIT ${limit}`)));
  const text = `SELECT p.* FROM unnest(${dictionaries}) AS d(id)${few.join('')} CROSS JOIN LATERAL (${branches.join('\n UNION ALL ')}) p ORDER BY ${outerOrder(order)} LIMIT ${limit}`;
  return { text, values };
}

/** Along the scores of the filter in a dictionary, each feature by its highest alone; `rest`: conditions, order and limit, of each group. */
function scoreWalk(columns: string, score: ScoreFilter, groups: ScoreGroups, bind: Bind): (rest: string) => string {
  const range = valueRange(score, bind);
  // Several groups: a feature comes once, where its highest score is.
  const best = (): string => ` AND g.id = (SELECT score_group(s.explainer, s.scorer, s.judge) FROM score s WHERE s.dictionary_id = d.id AND s."index" = f."index"${scoreNames(score, bind)} AND s.value IS NOT NULL${range}
    ORDER BY s.value DESC, s.explainer, s.judge LIMIT 1)`;
  const where = `s.dictionary_id = d.id AND score_group(s.explainer, s.scorer, s.judge) = g.id AND s.value IS NOT NULL${range}${groups.length === 1 ? '' : best()}`;
  const ids = bind(groups, 'bigint[]');
  return (rest) => `(SELECT x.* FROM unnest(${ids}) AS g(id) CROSS JOIN LATERAL (
    SELECT ${columns} FROM score s CROSS JOIN LATERAL (SELECT * FROM feature WHERE dictionary_id = d.id AND "index" = s."index" LIMIT 1) f WHERE ${where}${rest}) x)`;
}

/** The highest score of feature f that the filter names; no row where there is none. */
function bestScoreOf(score: ScoreFilter, bind: Bind): string {
  const found = `SELECT s.value FROM score s WHERE s.dictionary_id = f.dictionary_id AND s."index" = f."index"${scoreNames(score, bind)} AND s.value IS NOT NULL${valueRange(score, bind)}`;
  return `SELECT max(s.value) AS value, f."index" FROM (${found}) s HAVING max(s.value) IS NOT NULL`;
}

function outerOrder(order: FeatureOrder): string {
  if (order === 'INDEX') return 'dictionary_id, "index"';
  const { value, direction, nullable, reversed } = ORDERS[order];
  const column = isScorerOrder(order) ? 'order_value' : value.replace('f.', '');
  const ties = reversed ? 'DESC' : 'ASC';
  return `${column} ${direction}${nullable ? ' NULLS LAST' : ''}, dictionary_id ${ties}, "index" ${ties}`;
}

function rangesOf(order: FeatureOrder, after: FeatureCursor | null, bind: Bind): readonly Range[] {
  if (order === 'INDEX') {
    // Dictionaries one after another; the cursor's value says nothing.
    return [{ where: after === null ? '' : ` AND f."index" > ${resumeAfter(after, bind)}`, orderBy: 'f."index"' }];
  }
  const { value, direction, nullable, reversed } = ORDERS[order];
  if (after !== null && after.value === null && !nullable) throw new CallerError('BAD_CURSOR', `the cursor does not belong to the order ${order}: ask for the first page again`);
  const index = isScorerOrder(order) ? 's."index"' : 'f."index"';
  const ties = `${index}${reversed ? ' DESC' : ''}`;
  // A nullable column's index has nulls last in its descending order, so first in that order read backwards.
  const ordered = `${value} ${direction}${nullable ? (reversed ? ' NULLS FIRST' : ' NULLS LAST') : ''}, ${ties}`;
  // Read backwards, the nulls come first: they are read apart, to come last.
  const valued = nullable ? ` AND ${value} IS NOT NULL` : '';
  const nulls = nullable ? [{ where: ` AND ${value} IS NULL`, orderBy: ties }] : [];
  if (after === null) return reversed ? [{ where: valued, orderBy: ordered }, ...nulls] : [{ where: '', orderBy: ordered }];
  const rest = reversed ? ` AND ${index} < ${resumeBefore(after, bind)}` : ` AND ${index} > ${resumeAfter(after, bind)}`;
  if (after.value === null) return [{ where: ` AND ${value} IS NULL${rest}`, orderBy: ties }];
  const from = bind(after.value, 'float8');
  return [{ where: ` AND ${value} = ${from}${rest}`, orderBy: ties }, { where: ` AND ${value} ${direction === 'ASC' ? '>' : '<'} ${from}`, orderBy: ordered }, ...nulls];
}

/** Index after which features with the cursor's value continue, by dictionary `d.id`. */
function resumeAfter({ dictionaryId, index }: FeatureCursor, bind: Bind): string {
  const at = bind(dictionaryId, 'int');
  return `CASE WHEN d.id < ${at} THEN 2147483647 WHEN d.id = ${at} THEN ${bind(index, 'int')} ELSE -1 END`;
}

/** The same read backwards. */
function resumeBefore({ dictionaryId, index }: FeatureCursor, bind: Bind): string {
  const at = bind(dictionaryId, 'int');
  return `CASE WHEN d.id > ${at} THEN -1 WHEN d.id = ${at} THEN ${bind(index, 'int')} ELSE 2147483647 END`;
}
