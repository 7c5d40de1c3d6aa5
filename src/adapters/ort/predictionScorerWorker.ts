import { originalSums, replacedSums } from '../../dictionary/splicePredictions.ts';
import type { ScoredPredictions } from '../../ports/PredictionScorer.ts';
import type { ScoreTask } from './predictionScorer.ts';

/** Thread that scores batches, one at a time. */
export default function score({ original, replaced }: ScoreTask): ScoredPredictions {
  return replaced === null ? originalSums(original) : replacedSums(original, replaced);
}
