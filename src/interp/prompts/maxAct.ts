import type { ExplainPrompt } from './explainPrompt.ts';
import type { ExplainSubject } from './explainSubject.ts';
import { fewShotTurns } from './fewShotTurns.ts';
import { markedFragment } from './markedFragment.ts';
import { ESCAPES_EXPLAINED } from './shownText.ts';

const BEGINNING = 'Phrase:';

const SYSTEM = [
  'You name features of a language model. A feature is active on some tokens of a text and silent on all others. You are shown the texts in which one feature was most active. Active tokens stand between « and »; under each text its strongest token is given with its neighbours.',
  ESCAPES_EXPLAINED,
  '',
  'Answer with one short phrase, at most twenty words, that says what the marked places share. First ask whether the marked tokens themselves are alike (the same word, kind of word, or meaning); then whether what precedes them is; then whether the texts have a subject in common. Name the narrowest thing that holds for all texts. Give the phrase and nothing else.',
].join('\n');

/** Max-activating examples as running text, after the idea of Neuronpedia's np_max-act; own words, own examples. */
export const maxAct: ExplainPrompt = {
  version: 'max-act-v1',
  maxTokens: 60,
  beginning: BEGINNING,
  render: (subject) => fewShotTurns(SYSTEM, subject, question),
};

function question({ fragments }: ExplainSubject): string {
  return [...fragments.map((fragment, i) => markedFragment(fragment, i + 1)), '', BEGINNING].join('\n');
}
