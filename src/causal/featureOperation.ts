import type { PatchOperation } from '../domain/patch.ts';

/** What is done to a feature's activation c at a position: everything the public patch knows, and two more. */
export type FeatureOperation =
  | PatchOperation
  | { readonly kind: 'ablate_to_mean'; readonly mean: number } // ĉ = the feature's mean activation, which the caller knows
  | { readonly kind: 'add'; readonly value: number }; // ĉ = c + value
