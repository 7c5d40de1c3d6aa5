import type { PatchOperation } from '../domain/patch.ts';

/** What is done to a feature's activation c at a position. */
export type FeatureOperation = PatchOperation;
