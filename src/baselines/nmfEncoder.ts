import { CholeskyDecomposition, Matrix } from 'ml-matrix';
import type { DictionaryParameters } from '../dictionary/architecture.ts';
import { keepLargestOf } from '../dictionary/encode.ts';
import { invariant } from '../domain/errors.ts';
import { CovarianceMeter } from './covariance.ts';
import { checkK } from './directions.ts';
import type { Kernels } from './kernels.ts';
import type { NmfFit } from './nmf.ts';

/** Added to each dimension's variance, as a share of it. */
const RIDGE = 1e-3;

/**
 * NMF as a dictionary. Its codes proper are the solution of a non-negative least-squares problem for every vector, which
 * no single affine map and relu gives; the encoder here is the ridge regression of the fitted codes on the vectors,
 * followed by relu. The reconstruction c·w + shift is then corrected by a constant, the mean error on the fitting vectors;
 * a top-k variant has a constant of its own, for the codes it leaves out are all on one side of zero.
 * What the approximation loses is the difference between `fvuFitted` (the factorisation itself) and the dictionary's FVU.
 *
 * @param vectors [n, D], those of the fit.
 */
export async function nmfParameters(kernels: Kernels, vectors: Float32Array, { shift, rows, codes, squaredError }: NmfFit): Promise<{ parameters: (k: number | null) => DictionaryParameters; fvuFitted: number }> {
  const D = shift.length;
  const F = rows.length / D;
  const n = vectors.length / D;
  const meter = new CovarianceMeter(D);
  const origin = Float64Array.from(vectors.subarray(0, D));
  meter.add(await kernels.moments(vectors, origin), origin);
  const mean = meter.mean;
  const covariance = meter.covariance();
  let variance = 0;
  for (let d = 0; d < D; d++) variance += covariance[d * (D + 1)]!;
  const ridged = covariance.map((value, i) => (i % (D + 1) === 0 ? value * (1 + RIDGE) + 1e-12 * variance : value));

  const meanCodes = new Float64Array(F);
  for (let i = 0; i < codes.length; i++) meanCodes[i % F]! += codes[i]! / n;
  const cross = (await kernels.crossProducts(vectors, Float32Array.from(mean), codes)).map((value) => value / n);
  const slopes = solve(ridged, cross, D); // [D, F]
  const encoder = new Float32Array(F * D);
  const bias = meanCodes.slice();
  for (let d = 0; d < D; d++) {
    for (let j = 0; j < F; j++) {
      encoder[j * D + d] = slopes[d * F + j]!;
      bias[j]! -= slopes[d * F + j]! * mean[d]!;
    }
  }

  const linear = await kernels.project(vectors, new Float32Array(D), encoder);
  const encoderBias = Float32Array.from(bias);
  invariant(variance > 0, 'the fitting vectors vary');
  return {
    fvuFitted: squaredError / (n * variance),
    parameters(k) {
      const constant = mean.slice();
      const meanCode = meanCodesOf(linear, encoderBias, checkK(k, F));
      for (let j = 0; j < F; j++) for (let d = 0; d < D; d++) constant[d]! -= meanCode[j]! * rows[j * D + d]!;
      return { encoder, encoderBias, threshold: null, decoder: rows, decoderBias: Float32Array.from(constant), skip: null, k };
    },
  };
}

/** Mean of each code relu(linear + bias) over the vectors, of the k largest only where k is set. @param linear [n, F]. */
function meanCodesOf(linear: Float32Array, bias: Float32Array, k: number | null): Float64Array {
  const F = bias.length;
  const sum = new Float64Array(F);
  const codes = new Float32Array(F);
  for (let start = 0; start < linear.length; start += F) {
    for (let j = 0; j < F; j++) codes[j] = Math.max(0, linear[start + j]! + bias[j]!);
    if (k !== null) keepLargestOf(codes, k);
    for (let j = 0; j < F; j++) sum[j]! += codes[j]!;
  }
  return sum.map((total) => (total * F) / linear.length);
}

/** X [D, F] with A·X = B for a positive definite A [D, D]. */
function solve(A: Float64Array, B: Float64Array, D: number): Float64Array {
  const F = B.length / D;
  const rowsOf = (list: Float64Array, width: number): Matrix => new Matrix(Array.from({ length: D }, (_, i) => list.subarray(i * width, (i + 1) * width)) as unknown as number[][]);
  const solution = new CholeskyDecomposition(rowsOf(A, D)).solve(rowsOf(B, F));
  const out = new Float64Array(D * F);
  for (let d = 0; d < D; d++) for (let j = 0; j < F; j++) out[d * F + j] = solution.get(d, j);
  return out;
}
