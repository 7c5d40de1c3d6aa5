import { invariant } from '../domain/errors.ts';
import { rowNorms, timesTransposed, transposed } from '../math/matrices.ts';
import { Rng } from '../math/rng.ts';
import type { Directions } from './directions.ts';
import type { Eigen } from './eigen.ts';
import type { Kernels } from './kernels.ts';

export interface IcaOptions {
  readonly maxIterations: number;
  /** Largest change of direction, 1 − |cos|, of any component in the last iteration. */
  readonly tolerance: number;
  readonly seed: number;
}

/** scikit-learn's defaults (FastICA). */
export const ICA_DEFAULTS = { maxIterations: 200, tolerance: 1e-4 } as const;

export interface IcaFit {
  readonly directions: Directions;
  readonly iterations: number;
  /** In the last iteration. */
  readonly change: number;
  readonly converged: boolean;
  /** C: eigenvalues below RANK_FLOOR of the largest hold rounding noise and are left out. */
  readonly components: number;
}

const RANK_FLOOR = 1e-10;
/** Samples that decide a component's sign. */
const TAIL = 20;

/**
 * FastICA (Hyvärinen 1999), symmetric, with log cosh: vectors are whitened, z = Λ^(−1/2)·V·(x − mean), and W [C, C] follows
 *
 *     w_j ← E[z·tanh(w_j·z)] − E[1 − tanh²(w_j·z)]·w_j,    W ← (W·Wᵀ)^(−1/2)·W
 *
 * until no row turns any more. Sources are s = W·z, of variance 1 on the data whitened with. Components are ordered by the
 * variance they explain. A source's sign is arbitrary: it is fixed on the fitting data so that the stronger tail is
 * positive, by the signed sum of the 20 samples of largest magnitude; otherwise ranking the positive side, as the paper's
 * code does, reads the weak tail of every other component.
 *
 * Codes are scaled so that writing directions (columns of the mixing matrix) have unit norm. Work: 4·n·C² flops an iteration.
 *
 * @param vectors [n, D], raw. @param mean, eigen: of the covariance of these very vectors; on vectors that are not exactly white
 * the iteration need not settle.
 */
export async function fitIca(kernels: Kernels, vectors: Float32Array, mean: Float64Array, eigen: Eigen, options: IcaOptions, onIteration: (iteration: number, change: number) => void = () => undefined): Promise<IcaFit> {
  const D = mean.length;
  const n = vectors.length / D;
  const components = eigen.values.filter((value) => value > RANK_FLOOR * eigen.values[0]!).length;
  const deviations = eigen.values.slice(0, components).map(Math.sqrt);
  const scaled = (power: 1 | -1): Float64Array => eigen.vectors.slice(0, components * D).map((value, i) => value * deviations[Math.floor(i / D)]! ** power);
  const whitening = scaled(-1);
  const z = await kernels.project(vectors, Float32Array.from(mean), Float32Array.from(whitening));

  const rng = Rng.derive(options.seed, 'ica');
  let W = await kernels.nearestOrthogonal(Float64Array.from({ length: components ** 2 }, () => rng.normal()));
  let iterations = 0;
  let change = Infinity;
  while (iterations < options.maxIterations && !(change < options.tolerance)) {
    const { products, slopes } = await kernels.icaPass(z, Float32Array.from(W));
    const next = await kernels.nearestOrthogonal(products.map((value, i) => (value - slopes[Math.floor(i / components)]! * W[i]!) / n));
    change = largestTurn(W, next, components);
    W = next;
    invariant(Number.isFinite(change), 'FastICA stays finite');
    onIteration(++iterations, change);
  }

  const sign = await orientation(kernels, z, W, components);
  const signed = W.map((value, i) => value * sign[Math.floor(i / components)]!);
  // In double precision: reading and writing undo each other only as far as they are exact.
  const reading = timesTransposed(signed, transposed(whitening, D), components);
  const writing = timesTransposed(signed, transposed(scaled(1), D), components);
  return { directions: ordered(reading, writing, mean), iterations, change, converged: change < options.tolerance, components };
}

/** max_j 1 − |cos(row j of a, row j of b)| of orthogonal matrices. */
function largestTurn(a: Float64Array, b: Float64Array, C: number): number {
  let largest = 0;
  for (let start = 0; start < a.length; start += C) {
    let dot = 0;
    for (let i = start; i < start + C; i++) dot += a[i]! * b[i]!;
    largest = Math.max(largest, Math.abs(Math.abs(dot) - 1));
  }
  return largest;
}

/** +1 or −1 per component: the sign of the sum of its TAIL values of largest magnitude. */
async function orientation(kernels: Kernels, z: Float32Array, W: Float64Array, C: number): Promise<Float64Array> {
  const { k, high, low } = await kernels.tails(z, Float32Array.from(W), TAIL);
  return Float64Array.from({ length: C }, (_, c) => {
    const values: number[] = [];
    for (let i = 0; i < k; i++) values.push(high[i * C + c]!, low[i * C + c]!);
    values.sort((a, b) => Math.abs(b) - Math.abs(a) || b - a);
    return values.slice(0, TAIL).reduce((sum, value) => sum + value, 0) < 0 ? -1 : 1;
  });
}

/** Writing directions scaled to unit norm, longest first; what is taken off them goes to the reading directions. */
function ordered(reading: Float64Array, writing: Float64Array, centre: Float64Array): Directions {
  const D = centre.length;
  const norms = rowNorms(writing, D);
  const order = [...norms.keys()].sort((a, b) => norms[b]! - norms[a]! || a - b);
  const pick = (rows: Float64Array, power: 1 | -1): Float64Array => Float64Array.from({ length: rows.length }, (_, i) => {
    const j = order[Math.floor(i / D)]!;
    return rows[j * D + (i % D)]! * norms[j]! ** power;
  });
  return { reading: pick(reading, 1), writing: pick(writing, -1), centre };
}
