import type { ExplainPrompt } from './explainPrompt.ts';
import type { ExplainSubject } from './explainSubject.ts';
import { fewShotTurns } from './fewShotTurns.ts';
import { markedFragment } from './markedFragment.ts';
import { ESCAPES_EXPLAINED } from './shownText.ts';

const BEGINNING = 'Phrase:';

const SYSTEM = [
  'You name features of a language model. A feature is active on some tokens of a text and silent on all others. You are shown the texts in which one feature was most active. Active tokens stand between « and »; under each text its strongest token is given with its neighbours. After the texts come the tokens that the feature, when active, makes likelier to come next, and those it makes less likely.',
  ESCAPES_EXPLAINED,
  '',
  'Answer with one short phrase, at most twenty words, that says what the marked places share. First ask whether the marked tokens themselves are alike (the same word, kind of word, or meaning); then whether what precedes them is; then whether the texts have a subject in common. The likelier tokens tell what the feature prepares: use them where the texts leave a choice, and say so where the feature is best named by what it predicts. They can be noise; the texts weigh more. Name the narrowest thing that holds. Give the phrase and nothing else.',
].join('\n');

/** The max-activating examples with the output tokens that the feature promotes and suppresses through the unembedding. */
export const maxActLogits: ExplainPrompt = {
  version: 'max-act-logits-v1',
  maxTokens: 60,
  beginning: BEGINNING,
  render: (subject) => fewShotTurns(SYSTEM, subject, question),
};

function question({ fragments, promoted, suppressed }: ExplainSubject): string {
  return [
    ...fragments.map((fragment, i) => markedFragment(fragment, i + 1)),
    '',
    `Likelier next: ${listed(promoted)}`,
    `Less likely next: ${listed(suppressed)}`,
    '',
    BEGINNING,
  ].join('\n');
}

function listed(tokens: readonly string[]): string {
  return tokens.length === 0 ? 'not known' : tokens.map((token) => `«${token}»`).join(', ');
}
