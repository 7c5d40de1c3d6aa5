import { CallerError, invariant } from '../../domain/errors.ts';
import type { FeatureCursor, FeatureFilter, FeatureOrder } from '../../ports/CatalogReader.ts';
import { FEATURE_COLUMNS } from './rows.ts';

/**
 * SQL of one page of features. For each dictionary at most three index ranges are read, each at most one page long, and
 * their results merged, so a page costs O(page × dictionaries) however deep it lies. The ranges, after the cursor
 * (value v, dictionary d, index i):
 *   same    value = v, from index i on in dictionary d, all of it in later dictionaries, none in earlier ones
 *   beyond  value after v
 *   nulls   features without a value, which come last
 * Filters narrow the range of the order's own column and are otherwise checked along it.
 */
export interface PageQuery {
  readonly text: string;
  readonly values: readonly unknown[];
}

interface Order {
  readonly column: string;
  readonly direction: 'ASC' | 'DESC';
  readonly nullable: boolean;
}

const ORDERS: Readonly<Record<Exclude<FeatureOrder, 'INDEX'>, Order>> = {
  DENSITY_ASC: { column: 'density', direction: 'ASC', nullable: false },
  DENSITY_DESC: { column: 'density', direction: 'DESC', nullable: false },
  MAX_ACTIVATION_DESC: { column: 'max_activation', direction: 'DESC', nullable: false },
  SCORE_DESC: { column: 'best_score', direction: 'DESC', nullable: true },
};

/** Index after which features with the cursor's value continue, by dictionary `d.id`. */
const RESUME = `CASE WHEN d.id < %D THEN 2147483647 WHEN d.id = %D THEN %I ELSE -1 END`;

/** Asks for first + 1 rows: the extra one says whether there is a next page. */
export function pageQuery(filter: FeatureFilter, order: FeatureOrder, first: number, after: FeatureCursor | null): PageQuery {
  invariant(filter.dictionaryIds.length > 0, 'featurePage needs a dictionary');
  const values: unknown[] = [];
  const bind = (value: unknown, type: string): string => `$${values.push(value)}::${type}`;
  const dictionaries = bind(filter.dictionaryIds, 'int[]');
  const limit = bind(first + 1, 'int');
  const filters = filterSql(filter, bind);
  const resume = after === null ? null : RESUME.replaceAll('%D', bind(after.dictionaryId, 'int')).replaceAll('%I', bind(after.index, 'int'));

  const branch = (range: string, orderBy: string): string =>
    `(SELECT ${FEATURE_COLUMNS} FROM feature f WHERE f.dictionary_id = d.id${range}${filters} ORDER BY ${orderBy} LIMIT ${limit})`;
  const branches: string[] = [];
  let outer: string;
  if (order === 'INDEX') {
    // Dictionaries one after another; the cursor's value says nothing.
    outer = 'dictionary_id, "index"';
    branches.push(branch(resume === null ? '' : ` AND f."index" > ${resume}`, 'f."index"'));
  } else {
    const { column, direction, nullable } = ORDERS[order];
    const ordered = `f.${column} ${direction}${nullable ? ' NULLS LAST' : ''}, f."index"`;
    outer = `${column} ${direction}${nullable ? ' NULLS LAST' : ''}, dictionary_id, "index"`;
    if (after !== null && after.value === null && !nullable) throw new CallerError('BAD_CURSOR', `the cursor does not belong to the order ${order}: ask for the first page again`);
    if (after === null) {
      branches.push(branch('', ordered));
    } else if (after.value === null) {
      branches.push(branch(` AND f.${column} IS NULL AND f."index" > ${resume}`, 'f."index"'));
    } else {
      const value = bind(after.value, 'float8');
      branches.push(branch(` AND f.${column} = ${value} AND f."index" > ${resume}`, 'f."index"'));
      branches.push(branch(` AND f.${column} ${direction === 'ASC' ? '>' : '<'} ${value}`, ordered));
      if (nullable) branches.push(branch(` AND f.${column} IS NULL`, 'f."index"'));
    }
  }
  const text = `SELECT p.* FROM unnest(${dictionaries}) AS d(id) CROSS JOIN LATERAL (${branches.join('\n UNION ALL ')}) p ORDER BY ${outer} LIMIT ${limit}`;
  return { text, values };
}

function filterSql(filter: FeatureFilter, bind: (value: unknown, type: string) => string): string {
  let sql = '';
  if (filter.minDensity !== undefined) sql += ` AND f.density >= ${bind(filter.minDensity, 'float8')}`;
  if (filter.maxDensity !== undefined) sql += ` AND f.density <= ${bind(filter.maxDensity, 'float8')}`;
  if (filter.minScore !== undefined) sql += ` AND f.best_score >= ${bind(filter.minScore, 'float8')}`;
  if (filter.explained !== undefined) sql += ` AND f.explained = ${bind(filter.explained, 'boolean')}`;
  return sql;
}
