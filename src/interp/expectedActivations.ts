import { expectedLevel } from './expectedLevel.ts';
import type { Alternative } from './expectedLevel.ts';

/** A token of a text that a judge has read, with what it expected there. */
export interface ReadPiece {
  readonly text: string;
  /** Place of its first character (UTF-16 units). */
  readonly offset: number;
  readonly top: readonly Alternative[];
}

export interface LevelReading {
  /** Expected level of every row, 0 to `top`. */
  readonly values: Float32Array;
  /** Rows whose token the judge read together with the line end before it: 0, as in Bills et al.'s program. */
  readonly folded: number;
  /** Rows where no level was among the alternatives: 0. */
  readonly unread: number;
}

/** Share of rows without a level beyond which a reading is worth nothing. */
const MOST_UNREAD = 0.5;
/** Share of tokens that must be where their offsets say; the rest may be pieces of characters. */
const LEAST_ALIGNED = 0.5;

/**
 * Expected levels at the "unknown" of every row of `continuation`, however the judge's tokenizer parts it:
 *  - "unknown" in several tokens: what was expected for its first;
 *  - the tab (or more) folded into the token: alternatives that begin alike;
 *  - the line end folded into the token before the tab: the row counts 0, and is counted;
 *  - no number among the alternatives: the row counts 0, and is counted; a reading that is mostly so is refused.
 * "10" in two tokens cannot be told from 1 here: such judges are asked with `top` 9 (src/interp/prompts/simulateAllAtOnce.ts).
 * Offsets may count from the beginning of the continuation or of the whole prompt.
 */
export function expectedActivations(continuation: string, rows: readonly { readonly line: number; readonly unknown: number }[], pieces: readonly ReadPiece[], top: number): LevelReading | { readonly bad: string } {
  const base = baseOf(continuation, pieces);
  if (base === null) return { bad: 'the tokens read are not those of the text asked about' };
  const starts = pieces.map((piece) => piece.offset - base);
  const end = pieces.length === 0 ? 0 : starts[starts.length - 1] + pieces[pieces.length - 1].text.length;
  const values = new Float32Array(rows.length);
  let folded = 0;
  let unread = 0;
  let at = 0;
  for (let i = 0; i < rows.length; i++) {
    const { line, unknown } = rows[i];
    if (unknown >= end) return { bad: 'the reading ends before the text does' };
    // Last piece that begins at or before the place; of several that begin there, the last one has the character.
    while (at + 1 < starts.length && starts[at + 1] <= unknown) at++;
    let before = at;
    while (before > 0 && starts[before] > unknown - 2) before--;
    if (starts[before] < line && starts[before] <= unknown - 2) {
      folded++;
      continue;
    }
    const level = expectedLevel(pieces[at].top, continuation.slice(Math.max(0, starts[at]), unknown), top);
    if (level === null) unread++;
    else values[i] = level;
  }
  if (unread > MOST_UNREAD * rows.length) return { bad: 'hardly any level among the alternatives' };
  return { values, folded, unread };
}

/** What to subtract from the offsets, or null when they fit nowhere. */
function baseOf(continuation: string, pieces: readonly ReadPiece[]): number | null {
  if (pieces.length === 0) return null;
  const last = pieces[pieces.length - 1];
  let best: number | null = null;
  let most = LEAST_ALIGNED * pieces.length;
  for (const base of new Set([0, last.offset + last.text.length - continuation.length])) {
    const aligned = pieces.filter(({ text, offset }) => continuation.startsWith(text, offset - base)).length;
    if (aligned > most) {
      most = aligned;
      best = base;
    }
  }
  return best;
}
