import type { Exemplar, FragmentRef, Score } from '../domain/feature.ts';
import type { RequestSize } from './RequestSize.ts';

/** A description to judge, on text it was not made from: no list holds a fragment that overlaps `explained`. */
export interface ScoreTask {
  readonly index: number;
  readonly explainer: string;
  readonly description: string;
  readonly detail: unknown;
  /** Held-out fragments by how they were chosen; their activations are the truth. */
  readonly top: readonly Exemplar[];
  readonly random: readonly Exemplar[];
  /** Fragments a calibration may be fitted on (top[1::4], random[0::3]); none overlaps `top` or `random`. */
  readonly calibration: readonly Exemplar[];
  /** Fragments of every strength where the feature is active, strongest first, for detection; may hold those of `top`. */
  readonly active: readonly Exemplar[];
  /** What the explainer read. */
  readonly explained: readonly FragmentRef[];
}

/** `failed` is for a judge that gave no usable answer. A correlation without a value is no failure: it is a Score with its reason. */
export type ScoreAttempt =
  | { readonly kind: 'scored'; readonly index: number; readonly scores: readonly Score[] }
  | { readonly kind: 'failed'; readonly index: number; readonly reason: string };

/** Judges descriptions. One scorer may give several scores from one reading (top, random, both). */
export interface Scorer {
  /** The instrument, e.g. `simulation`; each Score names its own variant. */
  readonly name: string;
  readonly judge: string;
  readonly promptVersion: string | null;
  /** Everything its output depends on besides the tasks (judge, prompt version, seed), JSON, no secrets. */
  readonly parameters: Readonly<Record<string, unknown>>;
  /** True when it can judge explanations of this explainer. */
  judges(explainer: string): boolean;
  /** One attempt per task, in order. */
  score(tasks: readonly ScoreTask[]): Promise<readonly ScoreAttempt[]>;
  /** What `score` would ask a language model, without asking; descriptions may be placeholders. Absent where it asks none. */
  plan?(tasks: readonly ScoreTask[]): readonly RequestSize[];
}
