import { NO_ROW, type Exemplar, type FeatureAnalysis } from '../../domain/feature.ts';
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
 * lies in several windows counts once. share: of the feature's maximum, at most 1. Work and memory: linear in the feature's exemplars, but
 * for windows that overlap.
 */
export function firedTokens({ exemplars, maxActivation }: Pick<FeatureAnalysis, 'exemplars' | 'maxActivation'>): readonly FiredToken[] {
  if (!(maxActivation > 0)) return [];
  const beside = sameRows(exemplars);
  // This runs for each token of each window a load brings: a map of small integers, and arrays of numbers.
  const slots = new Map<number, number>();
  const strongest: number[] = [];
  const counts: number[] = [];
  for (let w = 0; w < exemplars.length; w++) {
    const { start, ids, activations } = exemplars[w]!;
    for (let i = 0; i < ids.length; i++) {
      // As exemplars keep it: what comes back from them gives the same tokens.
      const activation = Math.fround(activations[i] ?? 0);
      if (!(activation > 0) || (beside[w] !== -1 && counted(exemplars, beside, w, start + i))) continue;
      const slot = slots.get(ids[i]!);
      if (slot === undefined) {
        slots.set(ids[i]!, counts.length);
        strongest.push(activation);
        counts.push(1);
      } else {
        if (activation > strongest[slot]!) strongest[slot] = activation;
        counts[slot]!++;
      }
    }
  }
  const best: { tokenId: number; activation: number; share: number; count: number }[] = [];
  for (const [tokenId, slot] of slots) {
    const activation = strongest[slot]!;
    let at = best.length;
    while (at > 0 && (best[at - 1]!.activation < activation || (best[at - 1]!.activation === activation && best[at - 1]!.tokenId > tokenId))) at--;
    if (at === TOKENS_KEPT) continue;
    best.splice(at, 0, { tokenId, activation, share: Math.min(1, activation / maxActivation), count: counts[slot]! });
    if (best.length > TOKENS_KEPT) best.pop();
  }
  return best;
}

/** Of each window the one before it that is of the same row; -1 where there is none. */
function sameRows(exemplars: readonly Exemplar[]): Int32Array {
  const last = new Map<number, number>();
  const beside = new Int32Array(exemplars.length).fill(-1);
  for (let w = 0; w < exemplars.length; w++) {
    const { row } = exemplars[w]!;
    if (row === NO_ROW) continue;
    beside[w] = last.get(row) ?? -1;
    last.set(row, w);
  }
  return beside;
}

/** Whether a window before this one, of the same row, is active at the place. */
function counted(exemplars: readonly Exemplar[], beside: Int32Array, window: number, place: number): boolean {
  for (let w = beside[window]!; w !== -1; w = beside[w]!) {
    const { start, ids, activations } = exemplars[w]!;
    const i = place - start;
    if (i >= 0 && i < ids.length && Math.fround(activations[i] ?? 0) > 0) return true;
  }
  return false;
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
