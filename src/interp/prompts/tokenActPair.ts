import type { ExplainPrompt } from './explainPrompt.ts';
import type { ExplainSubject } from './explainSubject.ts';
import { fewShotTurns } from './fewShotTurns.ts';
import type { ShownToken } from './showFragment.ts';
import { ESCAPES_EXPLAINED } from './shownText.ts';

/** Share of levels above zero below which the fragments are shown once more without zeros (Bills et al. 2023). */
const SPARSE_SHARE = 0.2;

const BEGINNING = 'This feature is active on';

const SYSTEM = [
  'We are studying features inside a language model. A feature is a number that the model computes on every token of a text; it looks for something in particular. Below are fragments of text in which one feature was active. Find out what it looks for, and say so in one sentence.',
  '',
  'A fragment stands between <start> and <end>. Each of its lines is a token, a tab, and how active the feature is on that token, as a whole number from 0 (silent) to 10 (as active as it gets in these fragments). Spaces at the beginning of a token belong to it.',
  ESCAPES_EXPLAINED,
  '',
  'High numbers matter most. Say what the active tokens have in common, or what stands before them, rather than listing them. Do not speak of numbers or fragments; do not guess at what the data does not show. Complete the sentence that has been begun, and write nothing after it.',
].join('\n');

const SPARSE = 'The same fragments, only the tokens that are not 0:';

/**
 * Token–activation pairs (Bills et al. 2023, "Language models can explain neurons in language models", step 1), in our own
 * words and with our own examples. A chat server does not continue an assistant's turn, so the answer's beginning is the end of
 * the user's. Sampled as there: 60 tokens, temperature 1, top_p 1.
 */
export const tokenActPair: ExplainPrompt = {
  version: 'token-act-pair-v1',
  maxTokens: 60,
  beginning: BEGINNING,
  render: (subject) => fewShotTurns(SYSTEM, subject, question, (description) => `${description}.`),
};

function question({ fragments }: ExplainSubject, number: number): string {
  const parts = [`Feature ${number}`, ...fragments.map((f) => block(f))];
  if (isSparse(fragments)) parts.push('', SPARSE, ...fragments.map((f) => block(f.filter(({ level }) => level > 0))));
  return [...parts, '', BEGINNING].join('\n');
}

/** True when so few levels are above zero that a reader would lose them among the zeros. */
export function isSparse(fragments: readonly (readonly ShownToken[])[]): boolean {
  const levels = fragments.flat().map(({ level }) => level);
  return levels.filter((level) => level > 0).length < SPARSE_SHARE * levels.length;
}

function block(tokens: readonly ShownToken[]): string {
  return ['<start>', ...tokens.map(({ text, level }) => `${text}\t${level}`), '<end>'].join('\n');
}
