import type { Exemplar, TokenLogit } from '../domain/feature.ts';
import type { RequestSize } from './RequestSize.ts';

/** A feature to describe, with the text an explainer may read: never the text it will be judged on. */
export interface ExplainTask {
  readonly index: number;
  /** Fragments with their activations, strongest first. */
  readonly fragments: readonly Exemplar[];
  readonly topLogits: readonly TokenLogit[];
  readonly bottomLogits: readonly TokenLogit[];
}

/** An attempt either gives a description or says why not; a reply that makes no sense is a failure, never a description. */
export type ExplainAttempt =
  | {
      readonly kind: 'explained';
      readonly index: number;
      /** One sentence in words. */
      readonly description: string;
      /** JSON that the explainer's own simulator reads; null where the description is all there is. */
      readonly detail: unknown;
    }
  | { readonly kind: 'failed'; readonly index: number; /** Without numbers or names, so that failures can be counted by reason. */ readonly reason: string };

/** Writes descriptions of one dictionary's features. */
export interface Explainer {
  /** Goes into Explanation.explainer, with its version: `pattern-v1`, `token-act-pair-v1@gpt-4o-mini`. */
  readonly name: string;
  /** The language model that writes; null where none does. */
  readonly model: string | null;
  readonly promptVersion: string | null;
  /** Everything its output depends on besides the tasks (settings, prompt version, model), JSON, no secrets: part of a run's identity. */
  readonly parameters: Readonly<Record<string, unknown>>;
  /** One attempt per task, in order. Throws only when going on is pointless (OutsideError, CallerError). */
  explain(tasks: readonly ExplainTask[]): Promise<readonly ExplainAttempt[]>;
  /** What `explain` would ask a language model, without asking; absent where it asks none. */
  plan?(tasks: readonly ExplainTask[]): readonly RequestSize[];
}
