import type { FeatureAddress } from './address.ts';
import type { HookPoint } from './hookPoint.ts';

/** What is done to a feature's activation c at every chosen position: it becomes ĉ. */
export type PatchOperation =
  | { readonly kind: 'replace_from_target' } // ĉ = activation in the target prompt at the same position
  | { readonly kind: 'ablate' } // ĉ = 0
  | { readonly kind: 'scale'; readonly factor: number } // ĉ = factor · c
  | { readonly kind: 'set'; readonly value: number } // ĉ = value
  | { readonly kind: 'add'; readonly value: number } // ĉ = c + value
  | { readonly kind: 'ablate_to_mean'; readonly mean: number }; // ĉ = the feature's mean activation over all tokens

/** An operation as it is asked for: a mean is not given, it is the catalog's. */
export type AskedOperation = Exclude<PatchOperation, { readonly kind: 'ablate_to_mean' }> | { readonly kind: 'ablate_to_mean' };

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
  /** `keep` (left out: the same): x′ = x + Σ (ĉ_j − c_j) f_j; `remove`: the dictionary's reconstruction from ĉ takes the place of x. */
  readonly error?: 'keep' | 'remove';
  /** Every position of the prompt is read; readPositions is then null. */
  readonly allPositions?: boolean;
  /** Pairs of texts that are one token each. */
  readonly logitDifference?: readonly TokenPair[];
  /** Texts that are one token each, whose predictions are reported whatever they are. */
  readonly tokens?: readonly string[];
  /** Whether the loss on the prompt's own next tokens is measured, at every position. */
  readonly loss?: boolean;
  /** Features that are read before and after, not edited. */
  readonly watch?: readonly FeatureAddress[];
}

/** A patch as it is asked for. */
export interface PatchRequest extends Omit<PatchInput, 'features'> {
  readonly features: readonly (Omit<FeaturePatch, 'operation'> & { readonly operation: AskedOperation })[];
}

export interface TokenPair {
  readonly positive: string;
  readonly negative: string;
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
  /** One per PatchInput.tokens; left out where none were asked for. */
  readonly namedTokens?: readonly TokenChange[];
  /** One per PatchInput.logitDifference; left out where none were asked for. */
  readonly logitDifferences?: readonly LogitDifference[];
}

/** Logit of `positive` minus logit of `negative`, in nats. */
export interface LogitDifference extends TokenPair {
  readonly base: number;
  /** Null without a target. */
  readonly target: number | null;
  readonly patched: number;
}

/** −log p of each token of the prompt but the first, given those before it: entry t is that of token t + 1. Nats. */
export interface PatchLoss {
  readonly base: readonly number[];
  readonly patched: readonly number[];
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
  /** ‖x′ − x‖₂ per position, of which editMagnitude is the mean. Left out in runs of version 0.1. */
  readonly editMagnitudes?: readonly number[];
  /** Left out where it was not asked for. */
  readonly loss?: PatchLoss;
  /** One per PatchInput.watch; left out where none were asked for. Its hook point is where the feature is read. */
  readonly watched?: readonly PatchedFeature[];
}

/**
 * A stored causal intervention: input, result and where it came from. Equal inputs give equal ids; what was stored first under
 * an id stays. (Run among others in a batch, the same patch may differ in the last bits of float32.)
 */
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
