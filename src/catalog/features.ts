import { CallerError } from '../domain/errors.ts';
import type { CatalogReader, DictionaryRow, FeatureFilter, FeatureKey, FeatureOrder, FeatureRow } from '../ports/CatalogReader.ts';
import { decodeCursor, encodeCursor, scopeHash } from './cursor.ts';
import { checkCount, checkFirst, checkText, LIMITS } from './limits.ts';
import type { Page, PageArgs } from './page.ts';

/** A feature with the dictionary it belongs to. */
export interface FeatureView {
  readonly dictionary: DictionaryRow;
  readonly row: FeatureRow;
}

interface Range {
  readonly min?: number | null;
  readonly max?: number | null;
}

/** Conditions on features within the dictionaries selected; absent or null ones hold for all. */
export interface FeatureConditions {
  readonly density?: Range | null;
  readonly maxActivation?: Range | null;
  readonly bestScore?: Range | null;
  readonly minScore?: number | null;
  readonly explained?: boolean | null;
  readonly explainer?: string | null;
  readonly score?: { readonly scorer: string; readonly judge?: string | null; readonly explainer?: string | null; readonly value?: Range | null } | null;
  readonly tokenId?: number | null;
  readonly hasIncomingEdges?: boolean | null;
  readonly hasOutgoingEdges?: boolean | null;
  readonly hasOutputTokens?: boolean | null;
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
  const after = args.after ?? null;
  const filter = checkedFilter(dictionaries, conditions);
  const byScorer = args.orderBy === 'SCORER_ASC' || args.orderBy === 'SCORER_DESC';
  if (byScorer && filter.score === undefined) throw new CallerError('BAD_INPUT', `orderBy is ${args.orderBy}, and filter.score names no scorer: expected one to order by`, { field: ['orderBy'] });
  // A feature's place by one instrument says nothing of its place by another.
  const scope = byScorer ? `features ${args.orderBy} ${scopeHash(filter.score)}` : `features ${args.orderBy}`;
  const decoded = after === null ? null : decodeCursor(scope, ['number?', 'index', 'index'], after);
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
    edges: page.rows.map((row, i) => ({
      node: { dictionary: byId.get(row.dictionaryId)!, row },
      cursor: encodeCursor(scope, [page.values?.[i] ?? orderValue(args.orderBy, row), row.dictionaryId, row.index]),
    })),
    hasNext: page.hasNext,
    hasPrevious: after !== null,
  };
}

function checkedFilter(dictionaries: readonly DictionaryRow[], conditions: FeatureConditions): FeatureFilter {
  const density = checkedRange('density', conditions.density);
  const activation = checkedRange('maxActivation', conditions.maxActivation);
  const best = checkedRange('bestScore', conditions.bestScore);
  const minScore = isGiven(conditions.minScore) ? Math.max(conditions.minScore, best.min ?? conditions.minScore) : best.min;
  const { score } = conditions;
  return {
    dictionaryIds: dictionaries.map((dictionary) => dictionary.id),
    ...given({
      minDensity: density.min,
      maxDensity: density.max,
      minActivation: activation.min,
      maxActivation: activation.max,
      minScore,
      maxScore: best.max,
      explained: conditions.explained,
      explainer: name('explainer', conditions.explainer),
      score: isGiven(score) ? { scorer: name('score', score.scorer)!, ...given({ judge: name('score', score.judge), explainer: name('score', score.explainer), ...checkedRange('score', score.value) }) } : null,
      tokenId: isGiven(conditions.tokenId) ? checkCount('tokenId', conditions.tokenId, 0, 2 ** 31 - 1) : null,
      hasIncoming: conditions.hasIncomingEdges,
      hasOutgoing: conditions.hasOutgoingEdges,
      hasOutputs: conditions.hasOutputTokens,
    }),
  };
}

function checkedRange(field: string, range: Range | null | undefined): { readonly min?: number; readonly max?: number } {
  const [min, max] = [range?.min ?? null, range?.max ?? null];
  if (min !== null && max !== null && min > max) {
    throw new CallerError('BAD_INPUT', `${field}.min is ${min}, above ${field}.max ${max}`, { field: ['filter', field] });
  }
  return given({ min, max });
}

/** A name as the database holds them; null stays null. */
function name(field: string, value: string | null | undefined): string | null {
  return isGiven(value) ? checkText(field, value, LIMITS.nameCharacters) : null;
}

/** Without what is null or undefined. */
function given<T extends object>(values: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => isGiven(value))) as { [K in keyof T]?: NonNullable<T[K]> };
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
    case 'MAX_ACTIVATION_ASC':
    case 'MAX_ACTIVATION_DESC':
      return row.maxActivation;
    case 'SCORE_ASC':
    case 'SCORE_DESC':
      return row.bestScore;
    case 'SCORER_ASC':
    case 'SCORER_DESC':
      // The page says them: FeaturePage.values.
      return null;
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
