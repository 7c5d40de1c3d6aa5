/**
 * Small dense products in double precision, row-major, for matrices whose sides are about D. Products over many vectors go
 * through onnxruntime instead.
 */

/** a·bᵀ [n, m] of a [n, k] and b [m, k]: both are read along rows. */
export function timesTransposed(a: ArrayLike<number>, b: ArrayLike<number>, k: number): Float64Array {
  const n = a.length / k;
  const m = b.length / k;
  const out = new Float64Array(n * m);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < m; j++) {
      let sum = 0;
      for (let p = 0, x = i * k, y = j * k; p < k; p++) sum += a[x++]! * b[y++]!;
      out[i * m + j] = sum;
    }
  }
  return out;
}

/** aᵀ [k, n] of a [n, k]. */
export function transposed<A extends Float32Array | Float64Array>(a: A, k: number): A {
  const n = a.length / k;
  const out = a.slice() as A;
  for (let i = 0; i < n; i++) for (let p = 0; p < k; p++) out[p * n + i] = a[i * k + p]!;
  return out;
}

/** Euclidean norm of each row of a [n, k]. */
export function rowNorms(a: ArrayLike<number>, k: number): Float64Array {
  return Float64Array.from({ length: a.length / k }, (_, i) => {
    let sum = 0;
    for (let p = i * k; p < (i + 1) * k; p++) sum += a[p]! ** 2;
    return Math.sqrt(sum);
  });
}
