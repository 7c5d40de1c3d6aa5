import { timesTransposed, transposed } from '../math/matrices.ts';
import { NMF_FLOOR } from './kernels.ts';
import type { Kernels } from './kernels.ts';
import { orthogonalStep, orthogonalStart, ORTHOGONAL_STEPS } from './orthogonal.ts';

/** The kernels in TypeScript and double precision: the reference for those on onnxruntime, and enough for small problems. */
export const plainKernels: Kernels = {
  async moments(vectors, origin) {
    const D = origin.length;
    const count = vectors.length / D;
    const sums = new Float64Array(D);
    const products = new Float64Array(D * D);
    const x = new Float64Array(D);
    for (let i = 0; i < count; i++) {
      for (let d = 0; d < D; d++) sums[d]! += x[d] = vectors[i * D + d]! - origin[d]!;
      for (let a = 0; a < D; a++) for (let b = 0; b < D; b++) products[a * D + b]! += x[a]! * x[b]!;
    }
    return { count, sums, products };
  },

  async project(vectors, mean, rows) {
    const centred = vectors.map((value, i) => value - mean[i % mean.length]!);
    return Float32Array.from(timesTransposed(centred, rows, mean.length));
  },

  async icaPass(z, W) {
    const C = Math.sqrt(W.length);
    const t = timesTransposed(z, W, C).map(Math.tanh);
    const slopes = new Float64Array(C);
    t.forEach((value, i) => (slopes[i % C]! += 1 - value * value));
    return { products: cross(t, z, z.length / C), slopes };
  },

  async tails(z, W, k) {
    const C = Math.sqrt(W.length);
    const y = transposed(timesTransposed(z, W, C), C);
    const n = z.length / C;
    const take = Math.min(k, n);
    const high = new Float32Array(take * C);
    const low = new Float32Array(take * C);
    for (let c = 0; c < C; c++) {
      const column = y.slice(c * n, (c + 1) * n).sort();
      for (let i = 0; i < take; i++) {
        low[i * C + c] = column[i]!;
        high[i * C + c] = column[n - 1 - i]!;
      }
    }
    return { k: take, high, low };
  },

  async nearestOrthogonal(W) {
    let current = orthogonalStart(W);
    for (let step = 0; step < ORTHOGONAL_STEPS; step++) {
      const { next, distance } = orthogonalStep(current);
      current = next;
      if (distance < 1e-14) break;
    }
    return current;
  },

  async nmfPass(vectors, shift, codes, rows) {
    const D = shift.length;
    const F = rows.length / D;
    const x = Float64Array.from(vectors, (value, i) => Math.max(0, value - shift[i % D]!));
    const numerator = timesTransposed(x, rows, D);
    const denominator = timesTransposed(codes, timesTransposed(rows, rows, D), F);
    codes.forEach((code, i) => (codes[i] = (code * numerator[i]!) / Math.max(denominator[i]!, NMF_FLOOR)));
    const n = vectors.length / D;
    return { codesByData: cross(codes, x, n), codesByCodes: cross(codes, codes, n) };
  },

  async crossProducts(a, centre, b) {
    return cross(Float64Array.from(a, (value, i) => value - centre[i % centre.length]!), b, a.length / centre.length);
  },
};

/** Σ aᵀb over n rows. */
function cross(a: Float32Array | Float64Array, b: Float32Array | Float64Array, n: number): Float64Array {
  const A = a.length / n;
  const B = b.length / n;
  const out = new Float64Array(A * B);
  for (let i = 0; i < n; i++) for (let p = 0; p < A; p++) for (let q = 0; q < B; q++) out[p * B + q]! += a[i * A + p]! * b[i * B + q]!;
  return out;
}
