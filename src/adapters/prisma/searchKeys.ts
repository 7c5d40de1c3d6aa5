/** Places (see the migration of search) run from 0 to this, exclusive; ascending = better explained first. */
export const END = 1001 * 2 ** 32;

/** A range of places: [from, to), both multiples of the smallest block. */
export interface Window {
  readonly from: number;
  readonly to: number;
}

export const WHOLE: Window = { from: 0, to: END };

/** Blocks of places that the index knows, largest first; the number of each is in its keys. */
const BLOCKS = [36, 31, 26, 21, 16].map((bits, number) => ({ size: 2 ** bits, number }));
const SMALLEST = 2 ** 16;
const KINDS = 8;
const SAMPLE = 5;
/** Blocks of the size that a window is rounded to. */
const COARSE = 16;

/** What the index holds of each explanation's place, as SQL over `e`: exactly the expression of the migration. */
export const KEYS = `(ARRAY[e.place >> 36 << 3, e.place >> 31 << 3 | 1, e.place >> 26 << 3 | 2, e.place >> 21 << 3 | 3, e.place >> 16 << 3 | 4, (e.place >> 4 & 1023) << 3 | 5])`;

/** Keys of blocks that together are the window, and nothing else. */
export function windowKeys({ from, to }: Window): number[] {
  const keys: number[] = [];
  for (let at = from; at < to; ) {
    const { size, number } = BLOCKS.find((block) => at % block.size === 0 && at + block.size <= to)!;
    keys.push((at / size) * KINDS + number);
    at += size;
  }
  return keys;
}

/** Keys of the first `parts` of 1024 samples. */
export function sampleKeys(parts: number): number[] {
  return Array.from({ length: parts }, (_, i) => i * KINDS + SAMPLE);
}

/** The end of a window from `from` on to about `to`: later, where few blocks need it, at most END, and after `from`. */
export function roundedEnd(from: number, to: number): number {
  const size = BLOCKS.find((block) => block.size * COARSE <= to - from)?.size ?? SMALLEST;
  return Math.min(END, Math.max(from + SMALLEST, Math.ceil(to / size) * size));
}

export function isPlace(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0 && value <= END && value % SMALLEST === 0;
}

/** Whether the window cannot be narrower. */
export function isSmallest({ from, to }: Window): boolean {
  return to - from <= SMALLEST;
}
