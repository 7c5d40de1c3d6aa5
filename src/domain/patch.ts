import type { FeatureAddress } from './address.ts';
import type { HookPoint } from './hookPoint.ts';

/** What is done to a feature's activation c at every chosen position; x′ = x + Σ (ĉ_j − c_j) f_j, error term kept. */
export type PatchOperation =
  | { readonly kind: 'replace_from_target' } // ĉ = activation in the target prompt at the same position
  | { readonly kind: 'ablate' } // ĉ = 0
  | { readonly kind: 'scale'; readonly factor: number } // ĉ = factor · c
  | { readonly kind: 'set'; readonly value: number }; // ĉ = value

export interface FeaturePatch {
  readonly feature: FeatureAddress;
  readonly operation: PatchOperation;
  /** Positions in the base prompt's tokens (0-based, negative from the end); null = all. */
  readonly positions: readonly number[] | null;
}

export interface PatchInput {
  readonly model: string;
  readonly base: string;
  /** Required by replace_from_target; must have as many tokens as the base. */
  readonly target: string | null;
  readonly features: readonly FeaturePatch[];
  /** Positions whose next-token distributions are compared (negative from the end); null = the last. */
  readonly readPositions: readonly number[] | null;
  /** Token changes reported per position. */
  readonly topTokens: number;
}

export interface TokenChange {
  readonly id: number;
  readonly token: string;
  readonly baseLogProb: number;
  readonly patchedLogProb: number;
  readonly baseRank: number;
  readonly patchedRank: number;
}

export interface PatchPosition {
  readonly position: number;
  /** The token at this position (its successor is what is predicted). */
  readonly token: string;
  /** KL(patched‖base) in nats. */
  readonly klFromBase: number;
  /** KL(patched‖target) in nats; null without a target. */
  readonly klFromTarget: number | null;
  /** KL(base‖target) in nats: what klFromTarget would be without the patch. */
  readonly klBaseFromTarget: number | null;
  readonly changes: readonly TokenChange[];
}

export interface PatchedFeature {
  readonly feature: FeatureAddress;
  readonly hookPoint: HookPoint;
  /** c per base token before, and ĉ after. */
  readonly before: readonly number[];
  readonly after: readonly number[];
}

export interface PatchResult {
  readonly tokens: readonly string[];
  readonly targetTokens: readonly string[] | null;
  readonly positions: readonly PatchPosition[];
  readonly features: readonly PatchedFeature[];
  /** Mean over positions of ‖x′ − x‖₂, in activation units (summed over hook points when several are edited). */
  readonly editMagnitude: number;
}

/** A stored causal intervention: input, result and where it came from. */
export interface PatchRun {
  /** Content hash of model weights, dictionaries and input: the same patch has the same id. */
  readonly id: string;
  readonly input: PatchInput;
  readonly result: PatchResult;
  readonly weightsHash: string;
  readonly codeVersion: string;
  readonly createdAt: string;
  readonly milliseconds: number;
}
