/**
 * The one-to-one matching of rows to columns with the greatest sum, by shortest augmenting paths with dual variables
 * (Jonker & Volgenant 1987; Crouse 2016, "On implementing 2D rectangular assignment algorithms"). Ties go to the lower
 * column, so equal input gives equal output. Work grows with n²·m at worst: seconds for 4096 × 4096.
 *
 * @param values [n, m] row-major, n ≤ m, finite; only read.
 * @returns the column of every row [n], all different.
 */
export function matchRows(values: Float32Array, n: number, m: number): Int32Array {
  // The least sum of −values is sought. Always −value − rowDual − columnDual ≥ 0, and = 0 for matched pairs.
  const rowDual = new Float64Array(n);
  const columnDual = new Float64Array(m);
  const columnOf = new Int32Array(n).fill(-1);
  const rowOf = new Int32Array(m).fill(-1);
  for (let i = 0; i < n; i++) {
    let best = 0;
    for (let j = 1; j < m; j++) if (values[i * m + j]! > values[i * m + best]!) best = j;
    rowDual[i] = -values[i * m + best]!;
    if (rowOf[best] !== -1) continue;
    rowOf[best] = i;
    columnOf[i] = best;
  }
  const distance = new Float64Array(m);
  const from = new Int32Array(m);
  /** Columns, those whose distance is final first. */
  const columns = new Int32Array(m);
  for (let start = 0; start < n; start++) {
    if (columnOf[start] !== -1) continue;
    for (let j = 0; j < m; j++) columns[j] = j;
    distance.fill(Infinity);
    let row = start;
    let reached = 0;
    let sink = -1;
    for (let settled = 0; sink === -1; settled++) {
      const base = reached - rowDual[row]!;
      let least = settled;
      for (let at = settled; at < m; at++) {
        const j = columns[at]!;
        const through = base - values[row * m + j]! - columnDual[j]!;
        if (through < distance[j]!) {
          distance[j] = through;
          from[j] = row;
        }
        const gap = distance[j]! - distance[columns[least]!]!;
        // Of equally near columns a free one ends the search.
        if (gap < 0 || (gap === 0 && rowOf[j] === -1 && rowOf[columns[least]!] !== -1)) least = at;
      }
      const column = columns[least]!;
      columns[least] = columns[settled]!;
      columns[settled] = column;
      reached = distance[column]!;
      if (rowOf[column] === -1) sink = column;
      else row = rowOf[column]!;
    }
    rowDual[start] = rowDual[start]! + reached;
    for (let at = 0; columns[at] !== sink; at++) {
      const j = columns[at]!;
      columnDual[j] = columnDual[j]! + distance[j]! - reached;
      rowDual[rowOf[j]!] = rowDual[rowOf[j]!]! + reached - distance[j]!;
    }
    for (let j = sink; ; ) {
      const i = from[j]!;
      const before = columnOf[i]!;
      rowOf[j] = i;
      columnOf[i] = j;
      if (i === start) break;
      j = before;
    }
  }
  return columnOf;
}
