import type { SparseCodes } from '../domain/sparseCodes.ts';

/** Where a feature is active: context → its positions and activations there. */
export type ActiveAt = ReadonlyMap<number, { readonly positions: readonly number[]; readonly activations: readonly number[] }>;

/** Every feature that is active in codes of contexts [B, T] (rows b·T + t), with where. Keys ascend. */
export function activeFeatures(codes: SparseCodes, cols: number): Map<number, ActiveAt> {
  const found = new Map<number, Map<number, { positions: number[]; activations: number[] }>>();
  for (let r = 0; r < codes.rows; r++) {
    const context = Math.floor(r / cols);
    for (let e = codes.offsets[r]; e < codes.offsets[r + 1]; e++) {
      const feature = codes.features[e];
      let byContext = found.get(feature);
      if (byContext === undefined) found.set(feature, (byContext = new Map()));
      let at = byContext.get(context);
      if (at === undefined) byContext.set(context, (at = { positions: [], activations: [] }));
      at.positions.push(r % cols);
      at.activations.push(codes.values[e]);
    }
  }
  return new Map([...found].sort(([a], [b]) => a - b));
}

/** Activation of one feature in one row of codes (features ascend: binary search); 0 where it is inactive. */
export function activationAt(codes: SparseCodes, row: number, feature: number): number {
  let low = codes.offsets[row];
  let high = codes.offsets[row + 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (codes.features[middle] < feature) low = middle + 1;
    else high = middle;
  }
  return low < codes.offsets[row + 1] && codes.features[low] === feature ? codes.values[low] : 0;
}
