import { activeWindows } from '../interp/detectionWindows.ts';
import type { ActiveWindow, TextWindow } from '../interp/detectionWindows.ts';
import { refOf } from '../interp/split.ts';
import { Rng } from '../math/rng.ts';
import type { ScoreTask } from '../ports/Scorer.ts';
import type { SilentWindows } from './silentWindows.ts';

export interface WindowSettings {
  /** Strength bands of the active windows, and how many each gives at most; as many silent windows are taken as active ones. */
  readonly bands: number;
  readonly perBand: number;
  /** Windows of either class without which there is no score. */
  readonly minPerClass: number;
}

/** How windows are cut and chosen (here, in detectionWindows.ts and silentWindows.ts) and marked (fuzzMarks.ts); a change gets a new one. */
export const WINDOW_RULES = 'windows-v1';

/** delphi: ten quantiles, five from each, as many that do not activate. */
export const WINDOW_DEFAULTS: WindowSettings = { bands: 10, perBand: 5, minPerClass: 10 };

/**
 * The windows a description is judged on: equally many where the feature is active and where it is silent, so that chance is the
 * same for all features. None shares text with what the explainer read. All instruments with the same seed and settings use the
 * same windows, for all explainers.
 * @returns the reason where there are too few.
 */
export function heldOutWindows(
  task: Pick<ScoreTask, 'index' | 'active' | 'top' | 'random' | 'explained'>,
  silent: SilentWindows,
  { bands, perBand, minPerClass }: WindowSettings,
  seed: number,
): { readonly active: readonly ActiveWindow[]; readonly silent: readonly TextWindow[] } | { readonly tooFew: string } {
  const { index } = task;
  const active = activeWindows(task.active, silent.length, bands, perBand, Rng.derive(seed, 'active windows', index));
  if (active.length < minPerClass) return { tooFew: `fewer than ${minPerClass} held-out windows where it is active` };
  // Everywhere the feature is known to be active, and all that the explainer read.
  const exclude = [...task.explained, ...[...task.active, ...task.top, ...task.random].map(refOf)];
  const quiet = silent.of(index, active.length, exclude, Rng.derive(seed, 'silent windows', index));
  if (quiet.length < minPerClass) return { tooFew: `fewer than ${minPerClass} windows where it is silent` };
  return { active: active.slice(0, quiet.length), silent: quiet };
}
