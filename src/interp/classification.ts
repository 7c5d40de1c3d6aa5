import { invariant } from '../domain/errors.ts';

/**
 * Scores of a two-class judgement. Window i counts `weights[from + i]` times, so that the same code gives the score and its
 * bootstrap replicates (Bootstrap.intervalOf). NaN where the score is not defined.
 */
export type WeightedScore = (weights: ArrayLike<number>, from?: number) => number;

export interface HardJudgement {
  /** The feature is active in the window (fuzzing: the marks are where it is). */
  readonly truth: boolean;
  /** What the judge said. */
  readonly said: boolean;
}

interface Confusion {
  readonly tp: number;
  readonly fn: number;
  readonly tn: number;
  readonly fp: number;
}

/**
 * balanced accuracy = (TPR + TNR)/2,  TPR = TP/(TP + FN),  TNR = TN/(TN + FP).
 * 0.5 for a judge that guesses or always says the same. Undefined when a class is absent.
 */
export function balancedAccuracy(judgements: readonly HardJudgement[]): WeightedScore {
  return (weights, from = 0) => {
    const { tp, fn, tn, fp } = confusion(judgements, weights, from);
    return (tp / (tp + fn) + tn / (tn + fp)) / 2;
  };
}

/**
 * F1 = 2·TP/(2·TP + FP + FN), the harmonic mean of precision and recall of "active". Depends on the share of active windows: at one
 * half, a judge that always says "active" gets 2/3. 0 when there are active windows and none is found; undefined when there are
 * neither active windows nor any said to be.
 */
export function f1(judgements: readonly HardJudgement[]): WeightedScore {
  return (weights, from = 0) => {
    const { tp, fn, fp } = confusion(judgements, weights, from);
    return (2 * tp) / (2 * tp + fp + fn);
  };
}

/**
 * AUC = P(s⁺ > s⁻) + ½·P(s⁺ = s⁻) for an active window's score s⁺ and another's s⁻ (Mann–Whitney; the area under the ROC curve).
 * Undefined when a class is absent.
 */
export function areaUnderCurve(judgements: readonly { readonly truth: boolean; readonly score: number }[]): WeightedScore {
  invariant(!judgements.some(({ score }) => Number.isNaN(score)), 'windows are ranked by scores that are numbers');
  const order = judgements.map((_, i) => i).sort((a, b) => judgements[a].score - judgements[b].score);
  return (weights, from = 0) => {
    let [wins, below, positives] = [0, 0, 0];
    for (let i = 0; i < order.length; ) {
      const { score } = judgements[order[i]];
      let [tiedPositives, tiedNegatives] = [0, 0];
      for (; i < order.length && judgements[order[i]].score === score; i++) {
        if (judgements[order[i]].truth) tiedPositives += weights[from + order[i]];
        else tiedNegatives += weights[from + order[i]];
      }
      wins += tiedPositives * (below + tiedNegatives / 2);
      below += tiedNegatives;
      positives += tiedPositives;
    }
    return wins / (positives * below);
  };
}

function confusion(judgements: readonly HardJudgement[], weights: ArrayLike<number>, from: number): Confusion {
  let [tp, fn, tn, fp] = [0, 0, 0, 0];
  judgements.forEach(({ truth, said }, i) => {
    const weight = weights[from + i];
    if (truth && said) tp += weight;
    else if (truth) fn += weight;
    else if (said) fp += weight;
    else tn += weight;
  });
  return { tp, fn, tn, fp };
}
