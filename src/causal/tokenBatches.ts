/** What one batch may hold: tokens after padding, and rows. */
export interface BatchBounds {
  readonly tokens: number;
  readonly rows: number;
}

/**
 * Cuts a list into batches in its order, each of at most `bounds.tokens` tokens after padding to its longest row and at most
 * `bounds.rows` rows, and of rows with the same key. Every batch holds at least one row, however long. Sort by key and
 * length first for little padding; the cut depends on nothing but the arguments.
 */
export function tokenBatches<T>(rows: readonly T[], lengthOf: (row: T) => number, bounds: BatchBounds, keyOf: (row: T) => string = () => ''): T[][] {
  const batches: T[][] = [];
  let batch: T[] = [];
  let longest = 0;
  let key: string | undefined;
  for (const row of rows) {
    const grown = Math.max(longest, lengthOf(row));
    const same = key === keyOf(row);
    if (batch.length > 0 && (!same || batch.length >= bounds.rows || (batch.length + 1) * grown > bounds.tokens)) {
      batches.push(batch);
      batch = [];
      longest = 0;
    }
    batch.push(row);
    longest = Math.max(longest, lengthOf(row));
    key = keyOf(row);
  }
  if (batch.length > 0) batches.push(batch);
  return batches;
}
