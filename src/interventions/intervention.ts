import type { PredictionComparison, PredictionMeasures } from '../causal/comparePredictions.ts';
import type { FeatureOperation } from '../causal/featureOperation.ts';
import type { DictionaryWeights } from '../domain/dictionary.ts';

/** One feature to edit. */
export interface FeatureIntervention {
  readonly weights: DictionaryWeights;
  readonly index: number;
  readonly operation: FeatureOperation;
  /** Positions from 0, ascending. */
  readonly positions: readonly number[];
}

/** A feature that is only read, in the base run and after the edits, at its dictionary's own hook point. */
export interface WatchedFeature {
  readonly weights: DictionaryWeights;
  readonly index: number;
  /** Positions from 0, ascending; all when left out. */
  readonly positions?: readonly number[];
}

/** What is to be measured; what is left out is neither run nor computed. */
export interface Measures extends PredictionMeasures {
  /** Positions from 0, ascending, whose next-token predictions are compared; none when left out. */
  readonly positions?: readonly number[];
  /** The logits themselves at these positions, [positions, V]. */
  readonly logits?: boolean;
  /** Activations of the edited features over all positions, before and after. */
  readonly activations?: boolean;
  /** ‖x′ − x‖₂ at every position. */
  readonly editMagnitude?: boolean;
  readonly watch?: readonly WatchedFeature[];
}

/** Edits of one prompt, made together. */
export interface Intervention {
  /** Index into the request's prompts. */
  readonly prompt: number;
  /** Index of a prompt of equal length, or null. Needed by replace_from_target. */
  readonly target: number | null;
  /** At least one. A feature at one position once. */
  readonly features: readonly FeatureIntervention[];
  /**
   * `keep`: x′ = x + Σ_j s·(ĉ_j − c_j) f_j. `remove`: at every position where a feature of a dictionary is edited, what stands
   * at its output hook point becomes the dictionary's whole reconstruction from ĉ (all other features as measured; bias and
   * linear path included), so an edit that changes nothing, such as a scale of 1, splices the reconstruction in.
   */
  readonly error: 'keep' | 'remove';
  readonly measures: Measures;
}

export interface InterventionRequest {
  /** Token ids [T] each; T may differ. */
  readonly prompts: readonly Int32Array[];
  readonly interventions: readonly Intervention[];
}

export interface InterventionOptions {
  /** Tokens of one forward run after padding, and of the prompts whose unedited runs are held at once; default 4096. */
  readonly batchTokens?: number;
}

/** Activations by position. */
export interface ActivationChange {
  readonly before: Float64Array;
  readonly after: Float64Array;
}

export interface InterventionResult {
  /** One per position asked for, in order. */
  readonly predictions: readonly (PredictionComparison & { readonly position: number })[];
  readonly logits: { readonly base: Float32Array; readonly target: Float32Array | null; readonly patched: Float32Array } | null;
  /** One per edited feature, in order, over the T positions of the prompt: c as read for the edit, and ĉ. Empty unless asked for. */
  readonly features: readonly ActivationChange[];
  /** One per watched feature, in order, at the positions asked for. */
  readonly watched: readonly ActivationChange[];
  /** Summed over the points edited: ‖x′ − x‖₂ per position [T], and its mean. Null unless asked for. */
  readonly editMagnitude: { readonly perPosition: Float64Array; readonly mean: number } | null;
}
