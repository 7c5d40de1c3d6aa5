import { sharedCopy, sharedPredictions } from '../../dictionary/splicePredictions.ts';
import type { Predictions } from '../../dictionary/splicePredictions.ts';
import type { PredictionScorer, ScoredPredictions } from '../../ports/PredictionScorer.ts';
import { WorkerPool } from './workerPool.ts';

/** Everything lies in shared memory. */
export interface ScoreTask {
  readonly original: Predictions;
  /** Null: fill in and score the original. */
  readonly replaced: Float32Array | null;
}

/** Scores in worker threads: no matrix products, only exponentials over the vocabulary, in double precision. */
export function openPredictionScorer(workers: number): PredictionScorer {
  const pool = new WorkerPool<ScoreTask, ScoredPredictions>(new URL('./predictionScorerWorker.ts', import.meta.url), workers, null);
  return {
    async score(batch, logits) {
      const original = sharedPredictions({ ...batch, ids: batch.ids.slice() }, logits);
      return {
        original: await pool.run({ original, replaced: null }),
        replaced: (changed) => pool.run({ original, replaced: sharedCopy(changed) }),
      };
    },
    close: () => pool.close(),
  };
}
