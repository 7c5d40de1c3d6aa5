/** Second moments of a batch about a chosen origin o: enough to merge batches without losing digits (covariance.ts). */
export interface BatchMoments {
  readonly count: number;
  /** Σ(x − o) [D]. */
  readonly sums: Float64Array;
  /** Σ(x − o)(x − o)ᵀ [D, D]. */
  readonly products: Float64Array;
}

/** One pass of FastICA over whitened vectors z with y = z·Wᵀ and the nonlinearity tanh. */
export interface IcaPass {
  /** Σ tanh(y)ᵀz [C, C]. */
  readonly products: Float64Array;
  /** Σ (1 − tanh²(y)) [C]. */
  readonly slopes: Float64Array;
}

/** One pass of NMF's multiplicative updates over the codes; see nmf.ts. */
export interface NmfPass {
  /** Σ hᵀx [F, D] and Σ hᵀh [F, F], of the codes after their update. */
  readonly codesByData: Float64Array;
  readonly codesByCodes: Float64Array;
}

/** The largest and smallest projections per component, each [k, C] in no set order. */
export interface Tails {
  readonly k: number;
  readonly high: Float32Array;
  readonly low: Float32Array;
}

/**
 * The passes over many vectors that the baselines consist of; everything else about them is small. plainKernels.ts has
 * them in TypeScript (the reference), graphs.ts as ONNX graphs. All matrices are row-major.
 */
export interface Kernels {
  /** @param vectors [n, D]. @param origin [D]. In double precision. */
  moments(vectors: Float32Array, origin: Float64Array): Promise<BatchMoments>;
  /** (x − mean)·rowsᵀ [n, R]. @param vectors [n, D]. @param mean [D]. @param rows [R, D]. */
  project(vectors: Float32Array, mean: Float32Array, rows: Float32Array): Promise<Float32Array>;
  /** @param z [n, C]. @param W [C, C]. */
  icaPass(z: Float32Array, W: Float32Array): Promise<IcaPass>;
  /** The k largest and k smallest of each column of z·Wᵀ; k is cut to n. @param z [n, C]. @param W [C, C]. */
  tails(z: Float32Array, W: Float32Array, k: number): Promise<Tails>;
  /** The orthogonal matrix nearest to W [C, C], (W·Wᵀ)^(−1/2)·W, in double precision. */
  nearestOrthogonal(W: Float64Array): Promise<Float64Array>;
  /**
   * h ← h ∘ (x·wᵀ) / (h·w·wᵀ), in place, with x = max(vectors − shift, 0).
   * @param vectors [n, D]. @param shift [D]. @param codes h [n, F]. @param rows w [F, D].
   */
  nmfPass(vectors: Float32Array, shift: Float32Array, codes: Float32Array, rows: Float32Array): Promise<NmfPass>;
  /** Σ (a − centre)ᵀb [A, B]. @param a [n, A]. @param centre [A]. @param b [n, B]. */
  crossProducts(a: Float32Array, centre: Float32Array, b: Float32Array): Promise<Float64Array>;
}

/** What a denominator of NMF's updates is raised to. */
export const NMF_FLOOR = 2 ** -23;
