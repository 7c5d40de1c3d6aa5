import type { DictionaryWeights } from '../domain/dictionary.ts';
import type { ModelInfo } from '../domain/model.ts';

/** What is done to one feature's activation c at every position written (and, where asked, read): x′ = x + (ĉ − c) f, error term kept. */
export interface SteeredFeature {
  readonly weights: DictionaryWeights;
  readonly index: number;
  readonly operation:
    | { readonly kind: 'add'; readonly value: number } // ĉ = c + value
    | { readonly kind: 'set'; readonly value: number } // clamp: ĉ = value
    | { readonly kind: 'scale'; readonly factor: number } // ĉ = factor · c
    | { readonly kind: 'ablate' }; // ĉ = 0
}

export interface Steering {
  readonly features: readonly SteeredFeature[];
  /** First position whose activations are edited, from 0: 0 steers the prompt too, the prompt's length − 1 only what is written. */
  readonly from: number;
}

export interface GenerateRequest {
  readonly ids: Int32Array;
  /** Most tokens generated; generation also ends at the model's context length. */
  readonly maxTokens: number;
  /** 0 = the likeliest token each time. */
  readonly temperature: number;
  /** Sample from the smallest set of tokens with at least this probability together, 0 < topP <= 1. */
  readonly topP: number;
  /** Equal request and seed = equal tokens. */
  readonly seed: number;
  /** Generation ends after one of these; it is not part of the result. */
  readonly stopIds: readonly number[];
  /** Alternatives reported per generated token, 0 to 20. */
  readonly topLogprobs: number;
  /** Features edited at every step; the keys and values kept are those of the edited run. */
  readonly steering?: Steering;
}

export interface ScoredToken {
  readonly id: number;
  /** Natural logarithm of its probability at temperature 1. */
  readonly logprob: number;
  readonly top: readonly { readonly id: number; readonly logprob: number }[];
}

export interface Generated {
  readonly tokens: readonly ScoredToken[];
  readonly finish: 'stop' | 'length';
}

/** A language model that writes, with a key–value cache; safe to call concurrently, never blocks the event loop. */
export interface Generator {
  readonly info: ModelInfo;
  /** `onToken` hears of each token as it comes. */
  generate(request: GenerateRequest, onToken?: (token: ScoredToken) => void): Promise<Generated>;
  /** Log-probabilities of ids[from..] given what precedes each; `from` >= 1. */
  score(ids: Int32Array, from: number, topLogprobs: number): Promise<readonly ScoredToken[]>;
  close(): Promise<void>;
}
