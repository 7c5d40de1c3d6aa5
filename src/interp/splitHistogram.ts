/** One token's part of a histogram; `id` null for all other tokens together. */
export interface HistogramPart {
  readonly id: number | null;
  /** Values counted in no bin: 0 and below. */
  readonly zero: number;
  /** Values by bin. */
  readonly counts: readonly number[];
  /** Share of the sum of all positive values that is this token's. */
  readonly share: number;
}

/** A histogram of positive values, split by token. Its counts and zeros together are all values given. */
export interface SplitHistogram {
  /** Equal bins (edges[i], edges[i+1]] from 0 to the largest value, the first from 0 on; empty when no value is positive. */
  readonly edges: readonly number[];
  /** By share, largest first; what is left over comes last, if there is any. */
  readonly parts: readonly HistogramPart[];
}

/**
 * Splits values by the token they stand on, as the paper's Fig. 4 (Cunningham et al. 2023, section 4): equal bins up to the
 * largest value. Tokens are named that make up most of the sum of the values, not of their number: nearly all of a feature's
 * weak activations lie on common tokens.
 *
 * @param values [n]; 0 and below count as zero.
 * @param ids [n] token of each value.
 */
export function splitHistogram(values: ArrayLike<number>, ids: ArrayLike<number>, { bins, top }: { readonly bins: number; readonly top: number }): SplitHistogram {
  const sums = new Map<number, number>();
  let [max, total] = [0, 0];
  for (let i = 0; i < values.length; i++) {
    if (!(values[i] > 0)) continue;
    max = Math.max(max, values[i]);
    total += values[i];
    sums.set(ids[i], (sums.get(ids[i]) ?? 0) + values[i]);
  }
  const order = [...sums].sort(([a, x], [b, y]) => y - x || a - b);
  const named = order.slice(0, top);
  const places = new Map(named.map(([id], place) => [id, place]));
  const size = max > 0 ? bins : 0;
  const parts = [...named, null].map((one) => ({ id: one?.[0] ?? null, zero: 0, counts: Array.from({ length: size }, () => 0), share: one === null ? 0 : one[1] / total }));
  const rest = parts[named.length];
  for (const [, sum] of order.slice(top)) rest.share += sum / total;
  for (let i = 0; i < values.length; i++) {
    const part = parts[places.get(ids[i]) ?? named.length];
    if (values[i] > 0) part.counts[Math.min(bins - 1, Math.max(0, Math.ceil((values[i] / max) * bins) - 1))]++;
    else part.zero++;
  }
  const edges = size === 0 ? [] : Array.from({ length: bins + 1 }, (_, i) => (i * max) / bins);
  return { edges, parts: rest.zero + rest.counts.reduce((sum, count) => sum + count, 0) === 0 ? parts.slice(0, -1) : parts };
}
