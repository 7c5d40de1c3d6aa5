import type { EffectsByFeature } from '../causal/attribution.ts';
import type { DictionaryWeights } from '../domain/dictionary.ts';

/** What attribution explains: a number of each prompt's last position. */
export type AttributedObjective =
  /** The pre-activation h_j of a feature, in its dictionary's units. */
  | { readonly kind: 'feature'; readonly weights: DictionaryWeights; readonly index: number }
  /** Logit or natural log-probability of a next token, one id per prompt. */
  | { readonly kind: 'token'; readonly measure: 'logit' | 'logProb'; readonly ids: readonly number[] };

export interface AttributionRequest {
  /** Token ids [T] each; T may differ. */
  readonly prompts: readonly Int32Array[];
  readonly objective: AttributedObjective;
  /** Dictionaries whose features are attributed to; each writes no later than where the objective is. */
  readonly sources: readonly DictionaryWeights[];
  /**
   * Left out: first-order effects at the clean run, one run forward and one backward for all sources. N: integrated gradients,
   * N such runs per source.
   */
  readonly steps?: number;
  /** Tokens of one run after padding; default 4096. */
  readonly batchTokens?: number;
}

/** One per source, in order: for each feature active in some prompt, per prompt, by how much ablating it changes the objective. */
export type Attributions = readonly EffectsByFeature[];
