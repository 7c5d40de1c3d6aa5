import { markedText } from './markedText.ts';
import type { ShownToken } from './showFragment.ts';

/** Level from which a token is marked as active: 3 of 10, so that faint tails do not hide what the feature is about. */
const MARKED_LEVEL = 3;

/**
 * A fragment as running text with its active tokens between « and », neighbours in one pair of marks, and below it the strongest
 * token with what stands beside it:
 *
 *     Text 1: Sift two hundred« grams» of flour
 *     Strongest: « grams». Just before it: « hundred». Just after it: « of».
 *
 * The strongest token is marked however faint it is. Marks of the text itself carry a backslash (shownText).
 */
export function markedFragment(tokens: readonly ShownToken[], number: number): string {
  const strongest = tokens.reduce((best, { level }, i) => (level > tokens[best].level ? i : best), 0);
  const active = tokens.map(({ level }, i) => level >= MARKED_LEVEL || (i === strongest && level > 0));
  const named = (i: number): string => (tokens[i] === undefined ? 'nothing' : `«${tokens[i].text}»`);
  const line = `Text ${number}: ${markedText(tokens.map(({ text }) => text), active)}`;
  if (!active.includes(true)) return `${line}\nStrongest: nothing.`;
  return `${line}\nStrongest: ${named(strongest)}. Just before it: ${named(strongest - 1)}. Just after it: ${named(strongest + 1)}.`;
}
