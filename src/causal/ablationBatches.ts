/** One row of an ablation batch: feature (by its place in a list) taken out of one context. */
export interface AblationRow {
  readonly feature: number;
  readonly context: number;
}

/**
 * Cuts ablation rows into batches of at most `batchTokens` tokens after padding, rows of similar length together. Every
 * batch holds at least one row; the cut depends on nothing but the arguments.
 */
export function ablationBatches(rows: readonly AblationRow[], lengthOf: (context: number) => number, batchTokens: number): AblationRow[][] {
  const sorted = rows.toSorted((a, b) => lengthOf(a.context) - lengthOf(b.context) || a.context - b.context || a.feature - b.feature);
  const batches: AblationRow[][] = [];
  let batch: AblationRow[] = [];
  for (const row of sorted) {
    if (batch.length > 0 && (batch.length + 1) * lengthOf(row.context) > batchTokens) {
      batches.push(batch);
      batch = [];
    }
    batch.push(row);
  }
  if (batch.length > 0) batches.push(batch);
  return batches;
}
