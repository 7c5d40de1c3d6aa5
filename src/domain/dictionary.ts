import type { HookPoint } from './hookPoint.ts';

/** Architectures that are trained by gradient descent: src/dictionary/<name>.ts, one file each. */
export const TRAINABLE_ARCHITECTURES = ['tied', 'untied', 'topk', 'batchtopk', 'jumprelu', 'gated', 'matryoshka'] as const;
/** Decompositions to compare them with: src/baselines/<name>.ts. */
export const BASELINE_ARCHITECTURES = ['pca', 'ica', 'nmf', 'neuron', 'random'] as const;

export type TrainableArchitecture = (typeof TRAINABLE_ARCHITECTURES)[number];
export type BaselineArchitecture = (typeof BASELINE_ARCHITECTURES)[number];
/** Families of decomposition. Imported dictionaries take the name of the family they belong to. */
export type DictionaryArchitecture = TrainableArchitecture | BaselineArchitecture;

/** What cfg.json beside a dictionary's weights says. */
export interface DictionaryConfig {
  readonly formatVersion: 1;
  /** Catalog name within its model, e.g. `2-tied-r4`. */
  readonly name: string;
  readonly model: string;
  /** Where the encoder reads. */
  readonly hookPoint: HookPoint;
  /** Transcoders: where the decoder writes. Null: at `hookPoint`, as in an autoencoder. */
  readonly outputHookPoint: HookPoint | null;
  readonly architecture: DictionaryArchitecture;
  /** D: width of what is read. */
  readonly dIn: number;
  /** Width of what is written; equals dIn but for transcoders. */
  readonly dOut: number;
  /** F. */
  readonly nFeatures: number;
  /** Most features active on one vector; null = as many as are above their threshold. */
  readonly k: number | null;
  /** L1 coefficient as the paper's code defines it (reconstruction averaged over D, L1 summed over F); null where none. */
  readonly l1: number | null;
  /** x is divided by this before encoding; 1 = none. */
  readonly inputScale: number;
  /** x̂ is multiplied by this; equals inputScale but for transcoders. */
  readonly outputScale: number;
  readonly weightsHash: string;
  /** Key of the Run that made it. */
  readonly run: string;
}

/**
 * Weights in the one form everything downstream reads. For x already divided by inputScale:
 *
 *     h = x·encoderᵀ + encoderBias        c_j = h_j where h_j > θ_j, else 0        (θ = 0 without thresholds)
 *     only the k largest c_j of a vector are kept, where config.k says so; of equal ones those with the lower index
 *     x̂ = outputScale · (c·decoder + decoderBias + x·skipᵀ)
 *
 * So c ≥ 0 always. Input centring is folded into encoderBias; a gate with shared weights is a threshold; signed directions
 * (PCA, ICA) are pairs of features j, j + F/2 with opposite signs. For tied dictionaries encoder = decoder = unit-norm rows.
 */
export interface DictionaryWeights {
  readonly config: DictionaryConfig;
  /** [F, D] row-major. */
  readonly encoder: Float32Array;
  /** [F]. */
  readonly encoderBias: Float32Array;
  /** θ [F], each ≥ 0; null = all 0. */
  readonly threshold: Float32Array | null;
  /** [F, dOut] row-major; row j is the direction f_j. */
  readonly decoder: Float32Array;
  /** [dOut]. */
  readonly decoderBias: Float32Array;
  /** [dOut, D] row-major; null = no linear path. */
  readonly skip: Float32Array | null;
}

/** Where a dictionary's reconstruction belongs, and where editing its features edits the model. */
export function outputHookPointOf({ hookPoint, outputHookPoint }: Pick<DictionaryConfig, 'hookPoint' | 'outputHookPoint'>): HookPoint {
  return outputHookPoint ?? hookPoint;
}

/** Quality of a dictionary on held-out activations; see src/dictionary/quality.ts for the equations. */
export interface DictionaryQuality {
  /** Fraction of variance unexplained: Σ‖x−x̂‖² / Σ‖x−mean‖²; lower is better. */
  readonly fvu: number;
  /** Mean number of active features per vector. */
  readonly l0: number;
  /** Share of features active on at least one vector of the sample. */
  readonly aliveShare: number;
  /** Vectors measured. */
  readonly vectors: number;
}
