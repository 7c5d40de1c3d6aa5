/**
 * Lower triangular L [n, n] with L·Lᵀ = matrix [n, n] symmetric, row-major; null when the matrix is not positive definite.
 */
export function cholesky(matrix: Float64Array, n: number): Float64Array | null {
  const L = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = matrix[i * n + j]!;
      for (let k = 0; k < j; k++) sum -= L[i * n + k]! * L[j * n + k]!;
      if (i > j) L[i * n + j] = sum / L[j * n + j]!;
      else if (sum <= 0) return null;
      else L[i * n + i] = Math.sqrt(sum);
    }
  }
  return L;
}
