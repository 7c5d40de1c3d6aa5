import type { Exemplar, TokenLogit } from '../../domain/feature.ts';
import { discretise } from '../discretise.ts';
import { showFragment, undecodable } from './showFragment.ts';
import type { ShownToken, TokenWording } from './showFragment.ts';
import { shownText } from './shownText.ts';

/** What an explain prompt is told of a feature. */
export interface ExplainSubject {
  /** Strongest first; levels on one scale for all. */
  readonly fragments: readonly (readonly ShownToken[])[];
  /** Output tokens whose logits the feature raises most, strongest first; written by shownText. */
  readonly promoted: readonly string[];
  /** Those it lowers most. */
  readonly suppressed: readonly string[];
}

export interface SubjectInput {
  readonly fragments: readonly Exemplar[];
  readonly topLogits: readonly TokenLogit[];
  readonly bottomLogits: readonly TokenLogit[];
}

export interface SubjectOptions {
  /** Fragments shown at most. */
  readonly maxFragments: number;
  /** What becomes of a fragment that is not valid text: left out, as in the paper, or shown with \{bytes}. */
  readonly undecodable: 'leave-out' | 'escape';
}

/** Output tokens shown of each side. */
const SHOWN_LOGITS = 8;

/**
 * Levels 0 to 10 over the fragments shown (discretise): the maximum is theirs, not the feature's. `bad`: why there is nothing to
 * show, in words without numbers.
 */
export function explainSubject(input: SubjectInput, wording: TokenWording, options: SubjectOptions): ExplainSubject | { readonly bad: string } {
  const readable = options.undecodable === 'escape' ? input.fragments : input.fragments.filter(({ ids }) => !undecodable(ids, wording));
  if (readable.length === 0 && input.fragments.length > 0) return { bad: 'no explanation fragment is valid text' };
  const fragments = readable.slice(0, options.maxFragments);
  const max = Math.max(0, ...fragments.flatMap(({ activations }) => activations));
  if (!(max > 0)) return { bad: 'no activation in the explanation fragments' };
  const outputs = (logits: readonly TokenLogit[]): string[] => {
    const texts = logits.map(({ id }) => (wording.separators.has(id) ? '' : wording.token(id)));
    return texts.filter((text) => /[^\s\uFFFD]/u.test(text)).map(shownText).slice(0, SHOWN_LOGITS);
  };
  return {
    fragments: fragments.map(({ ids, activations }) => showFragment(ids, discretise(activations, max), wording)),
    promoted: outputs(input.topLogits),
    suppressed: outputs(input.bottomLogits),
  };
}
