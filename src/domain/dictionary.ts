import type { HookPoint } from './hookPoint.ts';

/** Families of decomposition. Later ones are added here and in src/dictionary/, one file each. */
export type DictionaryArchitecture = 'tied' | 'untied' | 'topk' | 'pca' | 'ica' | 'neuron' | 'random';

/** What cfg.json beside a dictionary's weights says. */
export interface DictionaryConfig {
  readonly formatVersion: 1;
  /** Catalog name within its model, e.g. `2-tied-r4`. */
  readonly name: string;
  readonly model: string;
  readonly hookPoint: HookPoint;
  readonly architecture: DictionaryArchitecture;
  /** D. */
  readonly dIn: number;
  /** F. */
  readonly nFeatures: number;
  /** L1 coefficient as the paper's code defines it (reconstruction averaged over D, L1 summed over F); null where none. */
  readonly l1: number | null;
  /** x is divided by this before encoding, and x̂ multiplied; 1 = none. */
  readonly inputScale: number;
  readonly weightsHash: string;
  /** Key of the Run that made it. */
  readonly run: string;
}

/**
 * Weights in the form everything downstream reads: c = relu(x·encoderᵀ + encoderBias), x̂ = c·decoder + decoderBias, for
 * x already divided by inputScale. For tied dictionaries encoder = decoder = unit-norm rows.
 */
export interface DictionaryWeights {
  readonly config: DictionaryConfig;
  /** [F, D] row-major. */
  readonly encoder: Float32Array;
  /** [F]. */
  readonly encoderBias: Float32Array;
  /** [F, D] row-major; row j is the direction f_j. */
  readonly decoder: Float32Array;
  /** [D]. */
  readonly decoderBias: Float32Array;
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
