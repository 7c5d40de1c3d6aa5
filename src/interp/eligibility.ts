import type { FeatureAnalysis } from '../domain/feature.ts';
import { variedFragments } from './split.ts';

/** Fragments with variation the paper asks for before it explains a feature (Cunningham et al. 2023, Appendix A). */
export const PAPER_MIN_FRAGMENTS = 20;

/**
 * Why a feature is not explained, or null when it is. The reasons are few and fixed, so that skipped features can be counted by
 * reason beside every mean: a mean over what was easy to explain says little without them.
 */
export function skipReason(feature: FeatureAnalysis, minFragments: number): string | null {
  if (!(feature.maxActivation > 0)) return 'never active in the analysed text';
  if (variedFragments(feature.exemplars, 'top').length < minFragments) return `fewer than ${minFragments} fragments where its activation varies`;
  return null;
}
