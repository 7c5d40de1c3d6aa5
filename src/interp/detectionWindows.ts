import type { Exemplar } from '../domain/feature.ts';
import type { Rng } from '../math/rng.ts';

/** A short piece of the analysed text: tokens [start, start + ids.length) of a row of the token file. */
export interface TextWindow {
  readonly row: number;
  readonly start: number;
  readonly ids: readonly number[];
}

/** A window where a feature is active, with its activation on every token (same length as ids). */
export interface ActiveWindow extends TextWindow {
  readonly activations: readonly number[];
}

/** Tokens of a window, as delphi's examples (example_ctx_len). */
export const WINDOW_TOKENS = 32;

/** The part of a fragment that has its strongest token (the first of equals) in the middle, as far as the fragment allows; a shorter fragment as it is. */
export function centredWindow({ row, start, ids, activations }: Exemplar, length: number): ActiveWindow {
  let strongest = 0;
  for (let t = 1; t < activations.length; t++) if (activations[t] > activations[strongest]) strongest = t;
  const from = Math.max(0, Math.min(strongest - Math.floor(length / 2), ids.length - length));
  return { row, start: start + from, ids: ids.slice(from, from + length), activations: activations.slice(from, from + length) };
}

/**
 * Windows from fragments of all strengths: the fragments, sorted by their max, are cut into `bands` of (nearly) equal count, and
 * up to `perBand` are drawn from each. The result goes round the bands (one of each, then a second of each …), so that a shorter
 * list cut from its beginning is spread just as evenly. With fewer fragments than bands, each is its own band.
 *
 * delphi draws from quantiles of everything the feature was active on; these are quantiles of the held-out fragments that an
 * analysis keeps (top, quantile and random ones), where strong ones have a greater share than in the text at large.
 */
export function activeWindows(fragments: readonly Exemplar[], length: number, bands: number, perBand: number, rng: Rng): ActiveWindow[] {
  const sorted = fragments.toSorted((a, b) => a.maxActivation - b.maxActivation || a.row - b.row || a.start - b.start);
  const count = Math.min(bands, sorted.length);
  const drawn = Array.from({ length: count }, (_, band) =>
    rng.shuffle(sorted.slice(Math.floor((band * sorted.length) / count), Math.floor(((band + 1) * sorted.length) / count))).slice(0, perBand),
  );
  const windows: ActiveWindow[] = [];
  for (let place = 0; place < perBand; place++) {
    for (const band of drawn) if (place < band.length) windows.push(centredWindow(band[place], length));
  }
  return windows;
}
