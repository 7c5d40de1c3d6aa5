/** A new matrix with every row of `rows` [R, D] divided by its Euclidean norm, or by `floor` where that is larger. */
export function normaliseRows(rows: Float32Array, D: number, floor: number): Float32Array {
  const out = new Float32Array(rows.length);
  for (let start = 0; start < rows.length; start += D) {
    let sum = 0;
    for (let i = start; i < start + D; i++) sum += rows[i]! * rows[i]!;
    const norm = Math.max(Math.sqrt(sum), floor);
    for (let i = start; i < start + D; i++) out[i] = rows[i]! / norm;
  }
  return out;
}
