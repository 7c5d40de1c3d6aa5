import { CallerError } from '../domain/errors.ts';
import type { CatalogReader, FeatureTokenRow, TokenKey } from '../ports/CatalogReader.ts';
import { decodeCursor, encodeCursor, scopeHash } from './cursor.ts';
import { selectDictionaries } from './dictionaries.ts';
import type { EdgePage } from './edges.ts';
import { checkFirst } from './limits.ts';
import type { PageArgs } from './page.ts';

export interface TokenFeaturesArgs extends PageArgs {
  /** Names of dictionaries, and layers: any of them; all when absent. */
  readonly dictionaries?: readonly string[] | null;
  readonly layers?: readonly number[] | null;
  /** Least share of the feature's own maximum, 0 to 1. */
  readonly minShare: number;
}

/** Features that fire on a token, those nearest their own maximum first; ties by dictionary and index. Two statements. */
export async function tokenFeatures(reader: CatalogReader, token: TokenKey, args: TokenFeaturesArgs): Promise<EdgePage<FeatureTokenRow>> {
  const first = checkFirst(args.first);
  const { minShare, after = null } = args;
  if (!(minShare >= 0 && minShare <= 1)) {
    throw new CallerError('BAD_INPUT', `minShare is ${minShare}: expected a share of the feature's maximum, 0 to 1`, { field: ['minShare'] });
  }
  const scope = `tokenFeatures ${scopeHash(token.model, token.id, args.dictionaries ?? null, args.layers ?? null, minShare)}`;
  const from = after === null ? null : (decodeCursor(scope, ['number', 'index', 'index'], after) as [number, number, number]);
  const chosen = await selectDictionaries(reader, { model: token.model, dictionaries: args.dictionaries ?? null, layers: args.layers ?? null });
  if (chosen.length === 0) return { edges: [], hasNext: false, hasPrevious: after !== null };
  const page = await reader.tokenFeatures({
    tokenId: token.id,
    dictionaryIds: chosen.map(({ id }) => id),
    minShare,
    first,
    after: from === null ? null : { share: from[0], dictionaryId: from[1], index: from[2] },
  });
  return {
    edges: page.rows.map((row) => ({ row, cursor: encodeCursor(scope, [row.share, row.dictionaryId, row.index]) })),
    hasNext: page.hasNext,
    hasPrevious: after !== null,
  };
}
