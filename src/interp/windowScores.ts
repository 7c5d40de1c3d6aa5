import { areaUnderCurve, balancedAccuracy, f1 } from './classification.ts';
import type { WeightedScore } from './classification.ts';
import type { Measured } from './simulationScores.ts';
import { stratifiedIntervals } from './stratifiedBootstrap.ts';

export type JudgingKind = 'detection' | 'fuzzing';

/** A window with what a language model said of it. */
export interface JudgedWindow {
  /** The feature is active in it. */
  readonly truth: boolean;
  readonly said: boolean;
  /** P(yes), 0 to 1; null where the model gave no alternatives. */
  readonly probability: number | null;
}

/** Undefined where the judge only says yes or no: two classes of answers rank nothing inside them. */
export const NO_PROBABILITIES = 'the judge gave no probabilities of its answers';

/** Names of the scores of a kind, in the order they are stored. */
export function judgedScorers(kind: JudgingKind): readonly [accuracy: string, f1: string, auc: string] {
  return [`${kind}-balanced-accuracy`, `${kind}-f1`, `${kind}-auc`];
}

/** Balanced accuracy, F1 and, from P(yes), AUC over the windows; n counts windows. */
export function judgedScores(kind: JudgingKind, windows: readonly JudgedWindow[], seed: number): readonly Measured[] {
  const [accuracyName, f1Name, aucName] = judgedScorers(kind);
  const ranked = windows.flatMap(({ truth, probability }) => (probability === null ? [] : [{ truth, score: probability }]));
  const scores: [string, WeightedScore][] = [[accuracyName, balancedAccuracy(windows)], [f1Name, f1(windows)]];
  if (ranked.length === windows.length) scores.push([aucName, areaUnderCurve(ranked)]);
  const measured = measure(windows.map(({ truth }) => truth), scores, seed);
  return scores.length === 3 ? measured : [...measured, { ...undefinedScore(aucName, NO_PROBABILITIES), n: windows.length }];
}

/** `embedding-auc` of similarities of the description with each window; n counts windows. */
export function embeddingScores(windows: readonly { readonly truth: boolean; readonly score: number }[], seed: number): readonly Measured[] {
  return measure(windows.map(({ truth }) => truth), [[EMBEDDING_AUC, areaUnderCurve(windows)]], seed);
}

export const EMBEDDING_AUC = 'embedding-auc';

/** A score nothing was measured for. */
export function undefinedScore(scorer: string, undefinedReason: string): Measured {
  return { scorer, value: null, undefinedReason, n: 0, low: null, high: null };
}

function measure(truth: readonly boolean[], scores: readonly (readonly [name: string, score: WeightedScore])[], seed: number): readonly Measured[] {
  const once = new Uint8Array(truth.length).fill(1);
  const intervals = stratifiedIntervals(truth, scores.map(([, score]) => score), seed);
  return scores.map(([scorer, score], i) => {
    const value = score(once);
    if (Number.isNaN(value)) return { ...undefinedScore(scorer, 'windows of one class only'), n: truth.length };
    return { scorer, value, undefinedReason: null, n: truth.length, low: intervals[i]?.low ?? null, high: intervals[i]?.high ?? null };
  });
}
