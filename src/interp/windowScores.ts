import type { Bootstrap } from './bootstrap.ts';
import { areaUnderCurve, balancedAccuracy, f1 } from './classification.ts';
import type { WeightedScore } from './classification.ts';
import type { Measured } from './simulationScores.ts';

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
export function judgedScores(kind: JudgingKind, judged: readonly JudgedWindow[], bootstrap: Bootstrap): readonly Measured[] {
  const { windows, shape } = byClass(judged);
  const [accuracyName, f1Name, aucName] = judgedScorers(kind);
  const ranked = windows.flatMap(({ truth, probability }) => (probability === null ? [] : [{ truth, score: probability }]));
  const scores: [string, WeightedScore][] = [[accuracyName, balancedAccuracy(windows)], [f1Name, f1(windows)]];
  if (ranked.length === windows.length) scores.push([aucName, areaUnderCurve(ranked)]);
  const measured = measure(shape, scores, bootstrap);
  return scores.length === 3 ? measured : [...measured, { ...undefinedScore(aucName, NO_PROBABILITIES), n: windows.length }];
}

/** `embedding-auc` of similarities of the description with each window; n counts windows. */
export function embeddingScores(compared: readonly { readonly truth: boolean; readonly score: number }[], bootstrap: Bootstrap): readonly Measured[] {
  const { windows, shape } = byClass(compared);
  return measure(shape, [[EMBEDDING_AUC, areaUnderCurve(windows)]], bootstrap);
}

export const EMBEDDING_AUC = 'embedding-auc';

/** A score nothing was measured for. */
export function undefinedScore(scorer: string, undefinedReason: string): Measured {
  return { scorer, value: null, undefinedReason, n: 0, low: null, high: null };
}

/** Active windows first; `shape` counts either class. */
function byClass<W extends { readonly truth: boolean }>(windows: readonly W[]): { readonly windows: readonly W[]; readonly shape: readonly [active: number, silent: number] } {
  const active = windows.filter(({ truth }) => truth);
  return { windows: [...active, ...windows.filter(({ truth }) => !truth)], shape: [active.length, windows.length - active.length] };
}

/**
 * Either class is resampled within itself, so no score is undefined in a replicate that is defined on the windows. Those judged in
 * one request count as independent. Where all are judged alike the interval is a point: it speaks of these windows, it is no bound
 * on what others would show.
 */
function measure(shape: readonly [number, number], scores: readonly (readonly [name: string, score: WeightedScore])[], bootstrap: Bootstrap): readonly Measured[] {
  const n = shape[0] + shape[1];
  const once = new Uint8Array(n).fill(1);
  return scores.map(([scorer, score]) => {
    const value = score(once);
    if (Number.isNaN(value)) return { ...undefinedScore(scorer, 'windows of one class only'), n };
    const interval = bootstrap.intervalOf(shape, score);
    return { scorer, value, undefinedReason: null, n, low: interval?.low ?? null, high: interval?.high ?? null };
  });
}
