import type { Exemplar, Score } from '../domain/feature.ts';

/** A description to judge, on text it was not made from. */
export interface ScoreTask {
  readonly index: number;
  readonly explainer: string;
  readonly description: string;
  readonly detail: unknown;
  /** Held-out fragments by how they were chosen; their activations are the truth. */
  readonly top: readonly Exemplar[];
  readonly random: readonly Exemplar[];
}

/** `failed` is for a judge that gave no usable answer. A correlation without a value is no failure: it is a Score with its reason. */
export type ScoreAttempt =
  | { readonly kind: 'scored'; readonly index: number; readonly scores: readonly Score[] }
  | { readonly kind: 'failed'; readonly index: number; readonly reason: string };

/** Judges descriptions. One scorer may give several scores from one reading (top, random, both). */
export interface Scorer {
  /** The instrument, e.g. `simulation`; each Score names its own variant. */
  readonly name: string;
  /** Everything its output depends on besides the tasks (judge, prompt version, seed), JSON, no secrets. */
  readonly parameters: Readonly<Record<string, unknown>>;
  /** True when it can judge explanations of this explainer. */
  judges(explainer: string): boolean;
  /** One attempt per task, in order. */
  score(tasks: readonly ScoreTask[]): Promise<readonly ScoreAttempt[]>;
}
