import type { ExplainSubject } from './explainSubject.ts';
import type { ShownToken } from './showFragment.ts';

/** An invented feature that shows a model what is wanted. A change here changes all explain and simulate prompts: new versions. */
export interface FewShotFeature extends ExplainSubject {
  /** A text on which it stays silent: most text is so, and a judge should have seen that. Explainers are not shown it. */
  readonly quiet: readonly ShownToken[];
  /** Completes "This feature is active on". */
  readonly description: string;
}

/** A token with its level, or a silent token. */
type Written = string | readonly [string, number];

function fragment(...tokens: readonly Written[]): readonly ShownToken[] {
  return tokens.map((token) => (typeof token === 'string' ? { text: token, level: 0 } : { text: token[0], level: token[1] }));
}

/** A word class, a place in the syntax, a context token and a subject: the kinds of answers that are wanted. */
export const FEW_SHOT_FEATURES: readonly FewShotFeature[] = [
  {
    fragments: [
      fragment('Sift', ' two', ' hundred', [' grams', 10], ' of', ' flour', ' into', ' the', ' bowl', ',', ' then', ' add', ' an', [' ounce', 8], ' of', ' butter', '.'),
      fragment('The', ' crate', ' was', ' over', ' forty', [' kilos', 9], ',', ' so', ' the', ' porter', ' called', ' for', ' help', '.'),
    ],
    quiet: fragment('The', ' choir', ' meets', ' again', ' on', ' Thursday', ' evening', ',', ' in', ' the', ' small', ' hall', '.'),
    promoted: [' of', ' heavier', ' weighed'],
    suppressed: [' miles', ' minutes'],
    description: 'units of weight, in recipes as well as for goods that are carried',
  },
  {
    fragments: [
      fragment('Our', ' oldest', ' boat', ' (', ['built', 7], [' by', 8], [' my', 9], [' uncle', 10], ')', ' still', ' floats', '.'),
      fragment('Rain', ' fell', ' (', ['as', 7], [' it', 7], [' does', 8], [' here', 9], [' every', 9], [' June', 10], ')', ' all', ' week', '.'),
    ],
    quiet: fragment('A', ' fox', ' crossed', ' the', ' yard', ',', ' looked', ' up', ' and', ' was', ' gone', '.'),
    promoted: [')', ').', '),'],
    suppressed: [' (', '('],
    description: 'words inside round brackets, the more the longer the bracket has been open',
  },
  {
    fragments: [
      fragment('She', ' did', ' not', [' answer', 9], ' the', ' letter', ',', ' and', ' he', ' never', [' wrote', 10], ' again', '.'),
      fragment('They', ' were', ' told', ' that', ' the', ' ferry', ' does', ' not', [' sail', 9], ' on', ' Sundays', '.'),
    ],
    quiet: fragment('Please', ' leave', ' the', ' keys', ' under', ' the', ' third', ' flower', 'pot', ' from', ' the', ' left', '.'),
    promoted: [' anymore', ' either', ' yet'],
    suppressed: [' certainly', ' indeed'],
    description: 'the word that comes directly after "not" or "never"',
  },
  {
    fragments: [
      fragment('Through', ' the', [' telescope', 8], [' Saturn', 10], [' looked', 2], ' like', ' a', ' small', ' lamp', ',', ' its', [' rings', 9], [' tilted', 3], '.'),
      fragment('The', [' comet', 10], [' was', 1], [' brightest', 6], ' just', ' before', [' dawn', 4], ',', ' low', ' in', ' the', [' east', 2], '.'),
    ],
    quiet: fragment('The', ' contract', ' ends', ' in', ' March', ',', ' unless', ' both', ' sides', ' agree', ' to', ' renew', ' it', '.'),
    promoted: [' orbit', ' planets', ' astronomers'],
    suppressed: [' invoice', ' landlord'],
    description: 'words about watching planets, comets and the night sky',
  },
];
