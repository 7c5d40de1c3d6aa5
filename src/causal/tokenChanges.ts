/** What happened to one output token's prediction. Rank 0 is the most likely token. */
export interface LogProbChange {
  readonly id: number;
  readonly baseLogProb: number;
  readonly patchedLogProb: number;
  readonly baseRank: number;
  readonly patchedRank: number;
}

/**
 * The `k` largest changes among the likely tokens: the union of the k most likely tokens before and after, ordered by
 * |p_after − p_before|, then by token id. (Over all tokens the largest changes of log-probability belong to tokens nobody
 * would ever see.)
 */
export function tokenChanges(base: Float64Array, patched: Float64Array, k: number): LogProbChange[] {
  const ids = [...new Set([...greatest(base, k), ...greatest(patched, k)])];
  return ids
    .map((id) => ({ id, moved: Math.abs(Math.exp(patched[id]!) - Math.exp(base[id]!)) }))
    .sort((a, b) => b.moved - a.moved || a.id - b.id)
    .slice(0, k)
    .map(({ id }) => ({
      id,
      baseLogProb: base[id]!,
      patchedLogProb: patched[id]!,
      baseRank: rankOf(base, id),
      patchedRank: rankOf(patched, id),
    }));
}

/** Indices of the k greatest values, greatest first; the smaller index first among equals. */
export function greatest(values: Float64Array, k: number): number[] {
  const kept: number[] = [];
  let bar = -Infinity;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (kept.length >= k && !(value > bar)) continue;
    let at = kept.length < k ? kept.length : k - 1;
    for (; at > 0 && values[kept[at - 1]!]! < value; at--) kept[at] = kept[at - 1]!;
    kept[at] = i;
    bar = values[kept[kept.length - 1]!]!;
  }
  return kept;
}

/** The number of strictly greater values. */
export function rankOf(values: Float64Array, index: number): number {
  const bar = values[index]!;
  let rank = 0;
  for (let i = 0; i < values.length; i++) if (values[i]! > bar) rank++; // several times faster than for…of
  return rank;
}
