import { NO_ROW, type FeatureAnalysis } from '../../domain/feature.ts';
import type { FeatureTokenRow, TokenFeaturesRequest } from '../../ports/CatalogReader.ts';
import { shortFloat } from '../../math/shortFloat.ts';
import type { CopyTable } from './copyTable.ts';
import type { PageQuery } from './featurePage.ts';

/** Tokens kept of each feature. */
export const TOKENS_KEPT = 10;

export const FEATURE_TOKEN_COLUMNS = ['dictionary_id', 'index', 'token_id', 'activation', 'share', 'count'] as const;

/** One token a feature fires on: see FeatureTokenRow. */
export type FiredToken = Omit<FeatureTokenRow, 'dictionaryId' | 'index'>;

/**
 * The tokens a feature fires on most, from its exemplars of all kinds: strongest activation first, then by id. A place of the text that
 * lies in several windows counts once. share: of the feature's maximum, at most 1. Work and memory: linear in the feature's exemplars.
 */
export function firedTokens({ exemplars, maxActivation }: Pick<FeatureAnalysis, 'exemplars' | 'maxActivation'>): readonly FiredToken[] {
  if (!(maxActivation > 0)) return [];
  const found = new Map<number, { activation: number; count: number }>();
  const seen = new Set<string>();
  for (const [window, { row, start, ids, activations }] of exemplars.entries()) {
    for (const [i, tokenId] of ids.entries()) {
      // As exemplars keep it: what comes back from them gives the same tokens.
      const activation = Math.fround(activations[i] ?? 0);
      if (!(activation > 0)) continue;
      const place = row === NO_ROW ? `${window}: ${i}` : `${row} ${start + i}`;
      if (seen.has(place)) continue;
      seen.add(place);
      const known = found.get(tokenId);
      if (known === undefined) found.set(tokenId, { activation, count: 1 });
      else {
        known.activation = Math.max(known.activation, activation);
        known.count++;
      }
    }
  }
  const all = Array.from(found, ([tokenId, { activation, count }]) => ({ tokenId, activation, share: Math.min(1, activation / maxActivation), count }));
  return all.sort((a, b) => b.activation - a.activation || a.tokenId - b.tokenId).slice(0, TOKENS_KEPT);
}

export function writeTokens(table: CopyTable, dictionaryId: number, feature: Pick<FeatureAnalysis, 'index' | 'exemplars' | 'maxActivation'>): void {
  for (const { tokenId, activation, share, count } of firedTokens(feature)) {
    table.row();
    table.int4(dictionaryId);
    table.int4(feature.index);
    table.int4(tokenId);
    table.float8(activation);
    table.float8(share);
    table.int4(count);
  }
}

/** [place in the batch, dictionary, index, token, activation, share, count]. */
export type FeatureTokenCells = readonly [string, number, number, number, number, number, number];

const COLUMNS = 'dictionary_id, "index", token_id, activation, share, count';

export const FEATURE_TOKENS = `SELECT k.n, t.* FROM unnest($1::int[], $2::int[]) WITH ORDINALITY AS k(d, i, n)
  CROSS JOIN LATERAL (SELECT ${COLUMNS} FROM feature_token WHERE dictionary_id = k.d AND "index" = k.i OFFSET 0) t
  ORDER BY k.n, t.activation DESC, t.token_id`;

/** Features that fire on a token: of each dictionary at most a page, by index ranges, then merged; the extra row says whether there is more. */
export function tokenFeaturesQuery({ tokenId, dictionaryIds, minShare, first, after }: TokenFeaturesRequest): PageQuery & { readonly name: string } {
  const range = (where: string, order: string): string =>
    `(SELECT ${COLUMNS} FROM feature_token WHERE dictionary_id = d.id AND token_id = $2 AND share >= $3::float8${where} ORDER BY ${order} LIMIT $4)`;
  const ranges =
    after === null
      ? [range('', 'share DESC, "index"')]
      : [
          range(' AND share = $5::float8 AND "index" > CASE WHEN d.id < $6::int THEN 2147483647 WHEN d.id = $6::int THEN $7::int ELSE -1 END', '"index"'),
          range(' AND share < $5::float8', 'share DESC, "index"'),
        ];
  return {
    name: after === null ? 'token-features' : 'token-features-after',
    text: `SELECT 1, p.* FROM unnest($1::int[]) AS d(id) CROSS JOIN LATERAL (${ranges.join(' UNION ALL ')}) p ORDER BY share DESC, dictionary_id, "index" LIMIT $4`,
    values: [dictionaryIds, tokenId, minShare, first + 1, ...(after === null ? [] : [after.share, after.dictionaryId, after.index])],
  };
}

export function featureTokenRow([, dictionaryId, index, tokenId, activation, share, count]: FeatureTokenCells): FeatureTokenRow {
  return { dictionaryId, index, tokenId, activation: shortFloat(activation), share, count };
}
