/** Why a piece of text is shown. */
export type ContextKind = 'strongest' | 'middle' | 'false positive' | 'false negative';

/** A token in the text that was read, to be shown with what stands around it. */
export interface PickedContext {
  readonly kind: ContextKind;
  /** Index among all tokens read. */
  readonly place: number;
}

/**
 * Places worth looking at, each in a row of its own within its kind: the strongest activations; those nearest to half the
 * largest; and with a pattern the strongest outside it and its silent tokens (below `threshold`), the latter spread over the
 * text. Deterministic.
 *
 * @param activations [rows · cols].
 * @param pattern mask and the threshold from which the feature counts as active; null = none.
 */
export function pickContexts(activations: Float32Array, cols: number, count: number, pattern: { readonly mask: Uint8Array; readonly threshold: number } | null): PickedContext[] {
  const order: number[] = [];
  for (let i = 0; i < activations.length; i++) if (activations[i] > 0) order.push(i);
  order.sort((a, b) => activations[b] - activations[a] || a - b);
  const half = order.length === 0 ? 0 : activations[order[0]] / 2;
  const nearHalf = order.toSorted((a, b) => Math.abs(activations[a] - half) - Math.abs(activations[b] - half) || a - b);
  const picked = [...take('strongest', order), ...take('middle', nearHalf)];
  if (pattern === null) return picked;
  const { mask, threshold } = pattern;
  const missed: number[] = [];
  for (let i = 0; i < activations.length; i++) if (mask[i] !== 0 && !(activations[i] > 0 && activations[i] >= threshold)) missed.push(i);
  const step = Math.max(1, Math.floor(missed.length / count));
  return [...picked, ...take('false positive', order.filter((i) => mask[i] === 0 && activations[i] >= threshold)), ...take('false negative', missed.filter((_, i) => i % step === 0))];

  function take(kind: ContextKind, places: readonly number[]): PickedContext[] {
    const rows = new Set<number>();
    const found: PickedContext[] = [];
    for (const place of places) {
      const row = Math.floor(place / cols);
      if (rows.has(row)) continue;
      rows.add(row);
      if (found.push({ kind, place }) === count) break;
    }
    return found;
  }
}
