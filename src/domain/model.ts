/** A subject model as the catalog knows it. Hashes are lower-case hex sha-256. */
export interface ModelInfo {
  /** Catalog name, e.g. `pythia-70m`. */
  readonly name: string;
  /** `model_type` of config.json: gpt_neox, gpt2, llama. */
  readonly architecture: string;
  readonly layers: number;
  /** D: width of the residual stream. */
  readonly dModel: number;
  /** V: rows of the unembedding. */
  readonly vocabSize: number;
  /** Longest sequence in tokens. */
  readonly contextLength: number;
  readonly parameters: number;
  readonly weightsHash: string;
  readonly tokenizerHash: string;
}

/**
 * A right-padded batch of token rows. `ids` is row-major [B, T]; row b is real at t < lengths[b], padding after. Padding
 * is masked as attention key; what the model computes at padded positions is unspecified and must not be read.
 */
export interface TokenBatch {
  readonly rows: number;
  readonly cols: number;
  readonly ids: Int32Array;
  readonly lengths: Int32Array;
}
