import type { FeatureAddress } from './address.ts';
import type { HookPoint } from './hookPoint.ts';

/** What is done to a feature's activation c at every position edited; x′ = x + Σ (ĉ_j − c_j) f_j, error term kept. */
export type SteerOperation =
  | { readonly kind: 'add'; readonly value: number } // ĉ = c + value
  | { readonly kind: 'set'; readonly value: number } // ĉ = value
  | { readonly kind: 'scale'; readonly factor: number } // ĉ = factor · c
  | { readonly kind: 'ablate' }; // ĉ = 0

export interface FeatureSteer {
  readonly feature: FeatureAddress;
  readonly operation: SteerOperation;
}

export interface SteerInput {
  readonly model: string;
  readonly prompt: string;
  readonly features: readonly FeatureSteer[];
  /** Most tokens written on each side. */
  readonly maxTokens: number;
  /** 0 = the likeliest token each time. */
  readonly temperature: number;
  readonly topP: number;
  readonly seed: number;
  /** Edit all positions of the prompt too; otherwise its last one, which the first token written is predicted from, and what follows. */
  readonly steerPrompt: boolean;
  /** Send the prompt as a user's message in the model's chat template. */
  readonly chat: boolean;
}

export interface WrittenToken {
  readonly id: number;
  readonly token: string;
  /** In the run that wrote it, at temperature 1, in nats. */
  readonly logProb: number;
  /** Without steering, after the same text. */
  readonly unsteeredLogProb: number;
}

export interface WrittenText {
  readonly text: string;
  readonly tokens: readonly WrittenToken[];
  readonly finish: 'stop' | 'length';
}

export interface SteerRun {
  /** Content hash of model weights, dictionaries and input. */
  readonly id: string;
  readonly input: SteerInput;
  /** The prompt's tokens as the model read them. */
  readonly promptTokens: readonly string[];
  /** Where each feature's edit is added. */
  readonly hookPoints: readonly HookPoint[];
  readonly steered: WrittenText;
  readonly unsteered: WrittenText;
  /** Place of the first token that differs or that only one side has, from 0; null where both are equal. */
  readonly firstDifference: number | null;
  readonly weightsHash: string;
  readonly codeVersion: string;
  readonly milliseconds: number;
}
