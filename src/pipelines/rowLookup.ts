import { invariant } from '../domain/errors.ts';
import type { TokenRows } from '../ports/TokenRows.ts';

/** Up to this many tokens a range of rows is read once and kept (16 MiB); beyond it rows are read as they are asked for. */
const KEPT_TOKENS = 4 * 1024 * 1024;

/** Gives token windows of the rows named: `(await lookup(rows))(row, start, length)`. */
export type RowLookup = (rows: readonly number[]) => Promise<(row: number, start: number, length: number) => number[]>;

/** Reads windows of the rows [from, to) of a token file in bounded memory. */
export async function rowLookup(tokens: TokenRows, { from, to }: { readonly from: number; readonly to: number }): Promise<RowLookup> {
  const { cols } = tokens;
  if ((to - from) * cols <= KEPT_TOKENS) {
    const ids = await tokens.read(Array.from({ length: to - from }, (_, i) => from + i));
    const window = (row: number, start: number, length: number): number[] => {
      const at = (row - from) * cols + start;
      return Array.from(ids.subarray(at, at + length));
    };
    return () => Promise.resolve(window);
  }
  return async (rows) => {
    // Sorted, so that neighbours on disk are read together.
    const wanted = [...new Set(rows)].sort((a, b) => a - b);
    const ids = await tokens.read(wanted);
    const places = new Map(wanted.map((row, i) => [row, i]));
    return (row, start, length) => {
      const place = places.get(row);
      invariant(place !== undefined, `row ${row} was not asked for`);
      return Array.from(ids.subarray(place * cols + start, place * cols + start + length));
    };
  };
}
