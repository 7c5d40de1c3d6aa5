import { divergence, logSumExp, softmaxInto } from '../math/logits.ts';
import type { PredictionSums } from './spliceScores.ts';

/** What the untouched model predicts for a batch of full token rows. */
export interface Predictions {
  /** [B, T]. */
  readonly ids: Int32Array;
  readonly rows: number;
  readonly cols: number;
  /** V. */
  readonly vocabSize: number;
  /** Predictions are measured from this position on; the last position of a row predicts nothing that is known. */
  readonly from: number;
  /** [B, T, V]. */
  readonly logits: Float32Array;
  /** softmax(logits) [B, T, V], filled in where measured. */
  readonly probabilities: Float32Array;
  /** logSumExp of the logits [B, T], filled in where measured. */
  readonly totals: Float64Array;
}

/** @param logits [B, T, V] of the untouched model; kept. */
export function predictionsOf(batch: Pick<Predictions, 'ids' | 'rows' | 'cols' | 'vocabSize' | 'from'>, logits: Float32Array): Predictions {
  const { rows, cols, vocabSize: V } = batch;
  const made: Predictions = { ...batch, logits, probabilities: new Float32Array(logits.length), totals: new Float64Array(rows * cols) };
  for (const at of measured(made)) {
    made.totals[at] = logSumExp(logits, at * V, V);
    softmaxInto(made.probabilities, logits, at * V, V, made.totals[at]!);
  }
  return made;
}

/** Sums of the untouched model itself. */
export function originalSums(original: Predictions): PredictionSums {
  const { ids, vocabSize: V, logits, totals } = original;
  let predictions = 0;
  let crossEntropy = 0;
  for (const at of measured(original)) {
    predictions++;
    crossEntropy += totals[at]! - logits[at * V + ids[at + 1]!]!;
  }
  return { predictions, crossEntropy, divergence: 0 };
}

/** Sums of the model with something replaced, which gave `logits` [B, T, V] for the same batch. */
export function replacedSums(original: Predictions, logits: Float32Array): PredictionSums {
  const { ids, vocabSize: V, totals } = original;
  let predictions = 0;
  let crossEntropy = 0;
  let kl = 0;
  for (const at of measured(original)) {
    const total = logSumExp(logits, at * V, V);
    predictions++;
    crossEntropy += total - logits[at * V + ids[at + 1]!]!;
    kl += divergence(original.probabilities, original.logits, logits, at * V, V, totals[at]!, total);
  }
  return { predictions, crossEntropy, divergence: kl };
}

/** b·T + t of the positions whose next token is predicted and measured, ascending. */
function* measured({ rows, cols, from }: Pick<Predictions, 'rows' | 'cols' | 'from'>): Generator<number> {
  for (let b = 0; b < rows; b++) for (let t = from; t + 1 < cols; t++) yield b * cols + t;
}
