import { CallerError } from '../domain/errors.ts';
import type { CatalogReader, DictionaryRow, FeatureFilter, FeatureKey, FeatureOrder, FeatureRow } from '../ports/CatalogReader.ts';
import { decodeCursor, encodeCursor } from './cursor.ts';
import { checkFirst } from './limits.ts';
import type { Page, PageArgs } from './page.ts';

/** A feature with the dictionary it belongs to. */
export interface FeatureView {
  readonly dictionary: DictionaryRow;
  readonly row: FeatureRow;
}

/** Conditions on features within the dictionaries selected; absent or null ones hold for all. */
export interface FeatureConditions {
  readonly density?: { readonly min?: number | null; readonly max?: number | null } | null;
  readonly minScore?: number | null;
  readonly explained?: boolean | null;
}

export interface FeaturePageArgs extends PageArgs {
  readonly orderBy: FeatureOrder;
}

export function addressOf(dictionary: DictionaryRow, index: number): string {
  return `${dictionary.model}/${dictionary.name}/${index}`;
}

/** A page of the features of these dictionaries. One statement, none when there is no dictionary to look in. */
export async function featurePage(
  reader: CatalogReader,
  dictionaries: readonly DictionaryRow[],
  conditions: FeatureConditions,
  args: FeaturePageArgs,
): Promise<Page<FeatureView>> {
  const first = checkFirst(args.first);
  const scope = `features ${args.orderBy}`;
  const after = args.after ?? null;
  const decoded = after === null ? null : decodeCursor(scope, ['number?', 'index', 'index'], after);
  const filter = checkedFilter(dictionaries, conditions);
  if (dictionaries.length === 0) return { edges: [], hasNext: false, hasPrevious: after !== null };
  const page = await reader.featurePage(
    filter,
    args.orderBy,
    first,
    decoded === null
      ? null
      : { value: decoded[0] as number | null, dictionaryId: decoded[1] as number, index: decoded[2] as number },
  );
  const byId = new Map(dictionaries.map((dictionary) => [dictionary.id, dictionary]));
  return {
    edges: page.rows.map((row) => ({
      node: { dictionary: byId.get(row.dictionaryId)!, row },
      cursor: encodeCursor(scope, [orderValue(args.orderBy, row), row.dictionaryId, row.index]),
    })),
    hasNext: page.hasNext,
    hasPrevious: after !== null,
  };
}

function checkedFilter(dictionaries: readonly DictionaryRow[], conditions: FeatureConditions): FeatureFilter {
  const min = conditions.density?.min ?? null;
  const max = conditions.density?.max ?? null;
  if (min !== null && max !== null && min > max) {
    throw new CallerError('BAD_INPUT', `density.min is ${min}, above density.max ${max}`, { field: ['filter', 'density'] });
  }
  return {
    dictionaryIds: dictionaries.map((dictionary) => dictionary.id),
    ...(min === null ? {} : { minDensity: min }),
    ...(max === null ? {} : { maxDensity: max }),
    ...(isGiven(conditions.minScore) ? { minScore: conditions.minScore } : {}),
    ...(isGiven(conditions.explained) ? { explained: conditions.explained } : {}),
  };
}

function isGiven<T>(value: T | null | undefined): value is T {
  return value !== null && value !== undefined;
}

function orderValue(order: FeatureOrder, row: FeatureRow): number | null {
  switch (order) {
    case 'INDEX':
      return null;
    case 'DENSITY_ASC':
    case 'DENSITY_DESC':
      return row.density;
    case 'MAX_ACTIVATION_DESC':
      return row.maxActivation;
    case 'SCORE_DESC':
      return row.bestScore;
  }
}

/** Joins features with the dictionaries already at hand; null where either is missing. One statement. */
export async function viewsOf(
  reader: CatalogReader,
  keys: readonly FeatureKey[],
  dictionaries: readonly (DictionaryRow | null)[],
): Promise<(FeatureView | null)[]> {
  const rows = await reader.features(keys);
  return rows.map((row, i) => {
    const dictionary = dictionaries[i] ?? null;
    return row === null || dictionary === null ? null : { dictionary, row };
  });
}
