import { CallerError } from '../domain/errors.ts';
import { rowNorms, transposed } from '../math/matrices.ts';
import { Rng } from '../math/rng.ts';
import type { Kernels } from './kernels.ts';

export interface NmfOptions {
  /** F. */
  readonly nFeatures: number;
  readonly maxIterations: number;
  /** Stops when ten iterations lower ‖x − hw‖ by less than this share of its first value. */
  readonly tolerance: number;
  readonly seed: number;
}

/** scikit-learn's defaults (NMF). */
export const NMF_DEFAULTS = { maxIterations: 200, tolerance: 1e-4 } as const;
const CHECK_EVERY = 10;

export interface NmfFit {
  /** [D]; taken off the vectors to make them non-negative. */
  readonly shift: Float32Array;
  /** w [F, D], ≥ 0, rows of unit norm. */
  readonly rows: Float32Array;
  /** h [n, F], ≥ 0, of the fitting vectors. */
  readonly codes: Float32Array;
  readonly iterations: number;
  readonly converged: boolean;
  /** Σ‖x − hw‖² over the fitting vectors, with the codes' last update but before the rows'. */
  readonly squaredError: number;
}

/**
 * Non-negative matrix factorisation x ≈ h·w, h ≥ 0, w ≥ 0, by the multiplicative updates for the squared error (Lee & Seung
 * 2001) from a random start. Activations have both signs, so each dimension is first shifted by its least value on the
 * fitting vectors. (The paper's code shifts all dimensions by the one least value; with the residual stream's outlier
 * dimensions the shift is then all that is factorised. It left NMF out of its figures.)
 *
 * @param vectors [n, D], raw. @param codes0, rows0: a start of the caller's.
 */
export async function fitNmf(kernels: Kernels, vectors: Float32Array, D: number, options: NmfOptions, start?: { codes: Float32Array; rows: Float32Array }, onIteration: (iteration: number, error: number) => void = () => undefined): Promise<NmfFit> {
  const F = options.nFeatures;
  const shift = leastValues(vectors, D);
  const { sum, squares } = sumsOf(vectors, shift);
  if (!(squares > 0)) throw new CallerError('BAD_INPUT', 'NMF: the fitting vectors are all equal; give more text');
  const { codes, rows } = start ?? randomStart(vectors.length / D, F, D, sum / vectors.length, options.seed);
  const none = { D: new Float32Array(D), F: new Float32Array(F) };
  let [first, before, squaredError] = [Infinity, Infinity, Infinity];
  let iterations = 0;
  let converged = false;
  while (iterations < options.maxIterations && !converged) {
    const { codesByData, codesByCodes } = await kernels.nmfPass(vectors, shift, codes, rows);
    const gram = Float32Array.from(codesByCodes);
    iterations++;
    if (iterations === 1 || iterations % CHECK_EVERY === 0 || iterations === options.maxIterations) {
      const rowGram = await kernels.project(rows, none.D, rows);
      squaredError = squares;
      for (let i = 0; i < rows.length; i++) squaredError -= 2 * codesByData[i]! * rows[i]!;
      for (let i = 0; i < rowGram.length; i++) squaredError += codesByCodes[i]! * rowGram[i]!;
      const error = Math.sqrt(Math.max(0, squaredError));
      if (iterations === 1) first = error;
      else converged = iterations % CHECK_EVERY === 0 && (before - error) / first < options.tolerance;
      before = error;
      onIteration(iterations, error / Math.sqrt(squares));
    }
    const denominator = await kernels.project(gram, none.F, transposed(rows, D));
    for (let i = 0; i < rows.length; i++) rows[i] = (rows[i]! * codesByData[i]!) / Math.max(denominator[i]!, Number.MIN_VALUE);
  }
  scaleRows(rows, codes, D, F);
  return { shift, rows, codes, iterations, converged, squaredError };
}

function leastValues(vectors: Float32Array, D: number): Float32Array {
  const least = new Float32Array(D).fill(Infinity);
  for (let i = 0; i < vectors.length; i++) if (vectors[i]! < least[i % D]!) least[i % D] = vectors[i]!;
  return least;
}

function sumsOf(vectors: Float32Array, shift: Float32Array): { sum: number; squares: number } {
  let [sum, squares] = [0, 0];
  for (let i = 0; i < vectors.length; i++) {
    const value = vectors[i]! - shift[i % shift.length]!;
    sum += value;
    squares += value * value;
  }
  return { sum, squares };
}

/** |N(0, 1)|·√(mean/F), as in scikit-learn's init="random". */
function randomStart(n: number, F: number, D: number, mean: number, seed: number): { codes: Float32Array; rows: Float32Array } {
  const rng = Rng.derive(seed, 'nmf');
  const scale = Math.sqrt(mean / F);
  const fill = (list: Float32Array): Float32Array => {
    for (let i = 0; i < list.length; i++) list[i] = Math.abs(rng.normal()) * scale;
    return list;
  };
  return { rows: fill(new Float32Array(F * D)), codes: fill(new Float32Array(new SharedArrayBuffer(4 * n * F))) };
}

/** Rows to unit norm, their norms to the codes; a row of zeros stays. */
function scaleRows(rows: Float32Array, codes: Float32Array, D: number, F: number): void {
  const norms = rowNorms(rows, D);
  for (let i = 0; i < rows.length; i++) rows[i] = rows[i]! / (norms[Math.floor(i / D)]! || 1);
  for (let i = 0; i < codes.length; i++) codes[i] = codes[i]! * norms[i % F]!;
}
