import type { ModelInfo } from '../domain/model.ts';

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
