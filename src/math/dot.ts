/** Σ a[i + q]·b[j + q] over q < width, in four float64 sums, which do not wait for one another. */
export function dot(a: Float32Array, i: number, b: Float32Array, j: number, width: number): number {
  let s0 = 0, s1 = 0, s2 = 0, s3 = 0;
  let q = 0;
  for (; q + 3 < width; q += 4) {
    s0 += a[i + q] * b[j + q];
    s1 += a[i + q + 1] * b[j + q + 1];
    s2 += a[i + q + 2] * b[j + q + 2];
    s3 += a[i + q + 3] * b[j + q + 3];
  }
  for (; q < width; q++) s0 += a[i + q] * b[j + q];
  return s0 + s1 + s2 + s3;
}
