/** What a model predicts for a batch of full token rows; src/dictionary/splicePredictions.ts has what is measured. */
export interface PredictionBatch {
  /** [B, T]. */
  readonly ids: Int32Array;
  readonly rows: number;
  readonly cols: number;
  /** V. */
  readonly vocabSize: number;
  /** Predictions are measured from this position of a row on. */
  readonly from: number;
}

/** Σ −log q(next token) and Σ KL(p‖q) in nats, p being the untouched model's. */
export interface ScoredPredictions {
  readonly predictions: number;
  readonly crossEntropy: number;
  readonly divergence: number;
}

/** Scores of one batch: of the untouched model, and of the model with something replaced. */
export interface BatchScores {
  readonly original: ScoredPredictions;
  /** @param logits [B, T, V], only read. */
  replaced(logits: Float32Array): Promise<ScoredPredictions>;
}

/** Scores predictions over a whole vocabulary, off the main thread. Results do not depend on the number of workers. */
export interface PredictionScorer {
  /** @param logits [B, T, V] of the untouched model, only read. */
  score(batch: PredictionBatch, logits: Float32Array): Promise<BatchScores>;
  close(): Promise<void>;
}
