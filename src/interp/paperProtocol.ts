import type { Exemplar, FeatureAnalysis } from '../domain/feature.ts';
import { PAPER_MIN_FRAGMENTS, skipReason } from './eligibility.ts';
import { SCORED_RANDOM, splitFragments, variedFragments } from './split.ts';

/**
 * The interpretability protocol of Cunningham et al. 2023, Appendix A, with the counts that the paper leaves to its code: one
 * fragment of 64 tokens from each of the first 50,000 documents, 20 strongest and 20 random fragments per feature, the first 150
 * features; the explainer reads 5 of the strongest, 5 others and 5 random ones are scored: 640 tokens. Simulated by expected
 * value, not calibrated.
 */
export const PAPER = {
  fragmentTokens: 64,
  documents: 50_000,
  features: 150,
  minFragments: PAPER_MIN_FRAGMENTS,
  /** Of the model that writes the description. */
  temperature: 1,
} as const;

/** The protocol's own slices, in which a scored fragment may be one that was explained: top[0::4]; top[2::4] and the first five of random[1::3]. */
export function paperSplit(exemplars: readonly Exemplar[]): { readonly explain: readonly Exemplar[]; readonly scored: readonly Exemplar[] } {
  const top = variedFragments(exemplars, 'top');
  const random = variedFragments(exemplars, 'random').filter((_, i) => i % 3 === 1);
  return { explain: top.filter((_, i) => i % 4 === 0), scored: [...top.filter((_, i) => i % 4 === 2), ...random.slice(0, SCORED_RANDOM)] };
}

/** Where our one rule more, that no scored fragment shares a token with an explained one or is scored twice, changed what is scored. */
export interface PaperDeviation {
  /** Features with enough fragments to be explained. */
  readonly eligible: number;
  /** Fragments the protocol scores on them, and how many of those we do not score. */
  readonly fragments: number;
  readonly fragmentsChanged: number;
  readonly featuresChanged: number;
  /** Features scored on fewer fragments than the protocol's, because no free one was left to take the place. */
  readonly featuresShort: number;
}

/** Compares our split with the protocol's, feature by feature. */
export class PaperTally {
  #eligible = 0;
  #fragments = 0;
  #fragmentsChanged = 0;
  #featuresChanged = 0;
  #featuresShort = 0;

  add(feature: FeatureAnalysis): void {
    if (skipReason(feature, PAPER.minFragments) !== null) return;
    const { scored } = paperSplit(feature.exemplars);
    const ours = splitFragments(feature.exemplars);
    const kept = new Set<Exemplar>([...ours.scoredTop, ...ours.scoredRandom]);
    const changed = scored.filter((fragment) => !kept.has(fragment)).length;
    this.#eligible++;
    this.#fragments += scored.length;
    this.#fragmentsChanged += changed;
    if (changed > 0) this.#featuresChanged++;
    if (kept.size < scored.length) this.#featuresShort++;
  }

  result(): PaperDeviation {
    return { eligible: this.#eligible, fragments: this.#fragments, fragmentsChanged: this.#fragmentsChanged, featuresChanged: this.#featuresChanged, featuresShort: this.#featuresShort };
  }
}
