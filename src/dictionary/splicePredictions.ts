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

/** The same in memory that all threads see, so that other threads can fill it in and read it. @param logits [B, T, V]; copied. */
export function sharedPredictions(batch: Pick<Predictions, 'ids' | 'rows' | 'cols' | 'vocabSize' | 'from'>, logits: Float32Array): Predictions {
  const { rows, cols } = batch;
  return {
    ...batch,
    logits: sharedCopy(logits),
    probabilities: new Float32Array(new SharedArrayBuffer(logits.byteLength)),
    totals: new Float64Array(new SharedArrayBuffer(8 * rows * cols)),
  };
}

/** A copy in memory that all threads see. */
export function sharedCopy(data: Float32Array): Float32Array {
  const copy = new Float32Array(new SharedArrayBuffer(data.byteLength));
  copy.set(data);
  return copy;
}

/** Fills in `probabilities` and `totals`, and gives the sums of the untouched model. */
export function originalSums(original: Predictions): PredictionSums {
  const { ids, vocabSize: V, logits, probabilities, totals } = original;
  let predictions = 0;
  let crossEntropy = 0;
  for (const at of measured(original)) {
    const total = logSumExp(logits, at * V, V);
    totals[at] = total;
    softmaxInto(probabilities, logits, at * V, V, total);
    predictions++;
    crossEntropy += total - logits[at * V + ids[at + 1]!]!;
  }
  return { predictions, crossEntropy, divergence: 0 };
}

/** Sums of the model with something replaced, which gave `logits` [B, T, V] for the same batch. After originalSums. */
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
