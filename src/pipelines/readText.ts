import { setImmediate } from 'node:timers/promises';
import type { TokenRows } from '../ports/TokenRows.ts';
import type { TokenPattern } from './tokenPattern.ts';

/** Rows of a token file in memory, five bytes a token. */
export interface ReadText {
  readonly rows: Uint32Array;
  readonly cols: number;
  /** [rows · cols]. */
  readonly ids: Int32Array;
  /** Where the pattern stands, [rows · cols]; null without one. */
  readonly mask: Uint8Array | null;
}

/** Rows read between two breaths of the event loop. */
const BLOCK = 256;

/** Reads rows and looks for a pattern in them. */
export async function readText(tokens: TokenRows, rows: Uint32Array, pattern: TokenPattern | null): Promise<ReadText> {
  const { cols } = tokens;
  const ids = new Int32Array(rows.length * cols);
  const mask = pattern === null ? null : new Uint8Array(rows.length * cols);
  for (let from = 0; from < rows.length; from += BLOCK) {
    ids.set(await tokens.read(rows.subarray(from, from + BLOCK)), from * cols);
    if (mask === null || pattern === null) continue;
    const to = Math.min(rows.length, from + BLOCK);
    for (let row = from; row < to; row++) mask.set(pattern.mask(ids.subarray(row * cols, (row + 1) * cols)), row * cols);
    await setImmediate();
  }
  return { rows, cols, ids, mask };
}

/** Rows [from, to) of a text as a batch for the model, all real. */
export function batchOf({ ids, cols }: ReadText, from: number, to: number): { rows: number; cols: number; ids: Int32Array; lengths: Int32Array } {
  return { rows: to - from, cols, ids: ids.slice(from * cols, to * cols), lengths: new Int32Array(to - from).fill(cols) };
}
