import { CallerError } from '../domain/errors.ts';
import { Rng } from '../math/rng.ts';

/** Rows of a token file that are read together, and a name for them that is unique within a layout. */
export interface RowGroup {
  readonly name: string;
  readonly rows: Uint32Array;
}

/** How a token file is divided: rows kept for measuring, and blocks of rows to train on. No row is in two places. */
export interface RowLayout {
  /** Vectors a row gives: its tokens less the skipped positions. */
  readonly vectorsPerRow: number;
  readonly heldOut: readonly RowGroup[];
  readonly blocks: readonly RowGroup[];
}

export interface RowLayoutSettings {
  /** Rows and tokens per row of the token file. */
  readonly rows: number;
  readonly cols: number;
  /** First positions of every row that are left out; 0 keeps all, as the paper does. */
  readonly skipPositions: number;
  /** Vectors of a block; the number of rows is rounded down, to at least one. */
  readonly blockVectors: number;
  /** Vectors kept for measuring; at most a tenth of the rows is taken, at least one row. */
  readonly heldOutVectors: number;
  readonly seed: number;
}

/**
 * Divides the rows by one random permutation of all of them, so that every block is a random sample of contexts from the
 * whole corpus. Throws BAD_INPUT when there are fewer than two rows or no position is left.
 */
export function layoutRows({ rows, cols, skipPositions, blockVectors, heldOutVectors, seed }: RowLayoutSettings): RowLayout {
  const vectorsPerRow = cols - skipPositions;
  if (skipPositions < 0 || vectorsPerRow < 1) throw new CallerError('BAD_INPUT', `skip positions: expected 0 to ${cols - 1} for rows of ${cols} tokens, found ${skipPositions}`);
  if (rows < 2) throw new CallerError('BAD_INPUT', `the text gives ${rows} row(s) of ${cols} tokens; at least 2 are needed, one to train on and one to measure on. Give more text or shorter rows`);
  const order = Rng.derive(seed, 'rows').permutation(rows);
  const held = Math.max(1, Math.min(Math.ceil(heldOutVectors / vectorsPerRow), Math.floor(rows / 10)));
  const perBlock = Math.max(1, Math.floor(blockVectors / vectorsPerRow));
  const groups = (name: string, from: number, to: number): RowGroup[] =>
    Array.from({ length: Math.ceil((to - from) / perBlock) }, (_, k) => ({
      name: `${name}-${String(k).padStart(6, '0')}`,
      rows: order.slice(from + k * perBlock, Math.min(to, from + (k + 1) * perBlock)),
    }));
  return { vectorsPerRow, heldOut: groups('heldout', 0, held), blocks: groups('block', held, rows) };
}
