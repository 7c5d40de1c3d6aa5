import type { Rng } from '../math/rng.ts';
import type { ActiveWindow } from './detectionWindows.ts';

/** Share of the window's max from which a token of an active window is marked (delphi, fuzzing). */
const MARK_SHARE = 0.3;

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
