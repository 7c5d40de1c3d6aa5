import { normaliseRows } from '../math/normaliseRows.ts';
import type { DictionaryWeights } from '../domain/dictionary.ts';
import { matchDirections } from './matching.ts';
import type { Matching } from './matching.ts';

/** Cosine from which two directions count as the same (the paper's notebooks). */
export const SAME_DIRECTION = 0.9;

/** Rows of unit length [n, width], row-major. */
export interface Directions {
  readonly rows: Float32Array;
  readonly width: number;
}

/**
 * How alike two sets of directions are. `mmcs` is the mean, over the directions of one set, of the largest cosine to any
 * direction of the other (Sharkey et al. 2022; the paper's standard_metrics.mmcs: no absolute value, not one-to-one), from 0 to
 * 1 in practice, higher = more alike. It is not symmetric, so both ways are given; `shareAbove` is the share of directions
 * whose largest cosine exceeds 0.9. `matching` pairs directions one to one; null beyond MATCHING_LIMIT.
 */
export interface DirectionComparison {
  readonly aToB: { readonly mmcs: number; readonly shareAbove: number };
  readonly bToA: { readonly mmcs: number; readonly shareAbove: number };
  readonly matching: Matching | null;
}

/** a·bᵀ [n, m] of rows a [n, width] and b [m, width]. */
export type Products = (a: Float32Array, b: Float32Array, width: number) => Promise<Float32Array>;

/** Directions of one set in a block: a block of cosines is 16 MB. */
const BLOCK = 2048;
/** Most directions on either side that are matched one to one: their cosines are held at once, 64 MB. */
export const MATCHING_LIMIT = 4096;

/** Decoder rows at unit length; rows shorter than 1e-8 stay about 0 and resemble nothing. */
export function directionsOf({ config, decoder }: Pick<DictionaryWeights, 'config' | 'decoder'>): Directions {
  return { rows: normaliseRows(decoder, config.dOut, 1e-8), width: config.dOut };
}

/** Compares two sets of directions of the same width. Memory: both sets, 16 MB, and up to MATCHING_LIMIT the cosines. */
export async function compareDirections(a: Directions, b: Directions, products: Products): Promise<DirectionComparison> {
  const { width } = a;
  const n = a.rows.length / width;
  const m = b.rows.length / width;
  const bestOfA = new Float32Array(n).fill(-Infinity);
  const bestOfB = new Float32Array(m).fill(-Infinity);
  const all = n <= MATCHING_LIMIT && m <= MATCHING_LIMIT ? new Float32Array(n * m) : null;
  for (let i = 0; i < n; i += BLOCK) {
    const rows = Math.min(BLOCK, n - i);
    for (let j = 0; j < m; j += BLOCK) {
      const cols = Math.min(BLOCK, m - j);
      const block = await products(a.rows.subarray(i * width, (i + rows) * width), b.rows.subarray(j * width, (j + cols) * width), width);
      for (let r = 0; r < rows; r++) {
        let best = bestOfA[i + r]!;
        for (let c = 0; c < cols; c++) {
          const cosine = block[r * cols + c]!;
          if (cosine > best) best = cosine;
          if (cosine > bestOfB[j + c]!) bestOfB[j + c] = cosine;
        }
        bestOfA[i + r] = best;
        all?.set(block.subarray(r * cols, (r + 1) * cols), (i + r) * m + j);
      }
    }
  }
  return { aToB: summary(bestOfA), bToA: summary(bestOfB), matching: all === null ? null : matchDirections(all, n, m, SAME_DIRECTION) };
}

function summary(best: Float32Array): { mmcs: number; shareAbove: number } {
  let sum = 0;
  let above = 0;
  for (const cosine of best) {
    sum += cosine;
    if (cosine > SAME_DIRECTION) above++;
  }
  return { mmcs: sum / best.length, shareAbove: above / best.length };
}
