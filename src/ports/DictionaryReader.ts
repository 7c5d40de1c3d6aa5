import type { DictionaryWeights } from '../domain/dictionary.ts';
import type { SparseCodes } from '../domain/sparseCodes.ts';

/** What `read` gives beside the sums. */
export interface ReadWants {
  /** x̂ of every vector. */
  readonly reconstruction?: boolean;
  /** c of every vector. */
  readonly codes?: boolean;
}

/** What a dictionary makes of some vectors; sums from which src/dictionary/quality.ts computes its quality. */
export interface DictionaryReading {
  /** n. */
  readonly vectors: number;
  /** Σ‖x − x̂‖², or of the targets for a transcoder, in raw activations: scales undone. */
  readonly squaredError: number;
  /** Vectors on which each feature is active [F]. */
  readonly firings: Float64Array;
  /** x̂ [n, dOut] in raw activations; null unless wanted. */
  readonly reconstruction: Float32Array | null;
  /** One row per vector; null unless wanted. */
  readonly codes: SparseCodes | null;
}

/** A dictionary ready to read vectors. */
export interface OpenDictionary {
  /**
   * Reads raw activations as DictionaryWeights defines it. Neither list is changed or kept.
   *
   * @param vectors [n, dIn].
   * @param targets [n, dOut], given to transcoders and only to them: what x̂ is compared with.
   */
  read(vectors: Float32Array, targets?: Float32Array, wants?: ReadWants): Promise<DictionaryReading>;
  close(): Promise<void>;
}

/**
 * Reads activations with any dictionary (trained, baseline, imported), off the main thread: what every measurement of a
 * dictionary goes through, so that all are measured alike. Results do not depend on the number of workers.
 */
export interface DictionaryReader {
  open(weights: DictionaryWeights): Promise<OpenDictionary>;
}
