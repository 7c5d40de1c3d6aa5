import type { Rng } from '../math/rng.ts';
import type { ActiveWindow } from './detectionWindows.ts';
import type { ShownToken } from './prompts/showFragment.ts';
import { breakReserved } from './prompts/shownText.ts';

/** Share of the window's max from which a token of an active window is marked (delphi, fuzzing). */
export const MARK_SHARE = 0.3;

const OPEN = '<<';
const CLOSE = '>>';
const OWN_MARKS = /<<|>>/g;

/** Which tokens of an active window are marked: those with activation ≥ MARK_SHARE · max of the window. */
export function activeMarks({ activations }: ActiveWindow): readonly boolean[] {
  const max = Math.max(...activations);
  return activations.map((a) => a > 0 && a >= MARK_SHARE * max);
}

/**
 * Marks for windows where the feature is silent: `count` places (all when there are no more), drawn uniformly without replacement.
 *
 * The count is the mean number of marks in the active windows, rounded up. delphi's rule differs twice: it takes the mean number of
 * tokens with any activation, which is more than it marks in active windows, so that the number of marks tells; and it always marks
 * the token a quarter of the window before the end, the others at random. What stays, as there: silent windows all have the same
 * number of marks, scattered, where active ones vary and cluster.
 */
export function randomMarks(length: number, count: number, rng: Rng): readonly boolean[] {
  const marks = Array.from({ length }, () => false);
  for (const place of rng.permutation(length).subarray(0, count)) marks[place] = true;
  return marks;
}

/** How many tokens to mark in each silent window: mean number of marks, rounded up, at least 1. */
export function marksToDraw(active: readonly (readonly boolean[])[]): number {
  let marked = 0;
  for (const marks of active) for (const mark of marks) if (mark) marked++;
  return Math.max(1, Math.ceil(marked / active.length));
}

/**
 * A window as prompts show it, every run of tokens of level > 0 between << and >>. Text that has << or >> itself gets a backslash
 * before it. Tokens that are one character only together are one here (showFragment), so no mark stands inside a character.
 */
export function markedText(tokens: readonly ShownToken[]): string {
  let text = '';
  tokens.forEach((token, i) => {
    if (token.level > 0 && !(tokens[i - 1]?.level > 0)) text += OPEN;
    text += token.text.replaceAll(OWN_MARKS, '\\$&');
    if (token.level > 0 && !(tokens[i + 1]?.level > 0)) text += CLOSE;
  });
  return breakReserved(text);
}

/** How the prompt tells of it. */
export const MARKS_EXPLAINED = 'Marked pieces of text stand between << and >>; where a text has such signs of its own, a backslash stands before them.';
