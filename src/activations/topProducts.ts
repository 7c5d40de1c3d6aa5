import { invariant } from '../domain/errors.ts';

/** For each row of `a` the k greatest of its inner products with the rows of `b`, greatest first. */
export interface TopProducts {
  /** [n, k] */
  readonly indices: Uint32Array;
  /** [n, k] */
  readonly values: Float64Array;
  readonly k: number;
}

/**
 * Greatest inner products of rows of a [·, D] with all rows of b [M, D], in float64 sums; ties go to the smaller index.
 * Used for output tokens (b = unembedding) and neighbours (b = the decoder itself). Work: n·M·D multiply-adds, with four
 * rows of a against two of b at a time, which is about 1.5e9 a second on one core; k is small.
 *
 * @param exclude row of b that row i of a must not be paired with, e.g. itself; −1 for none.
 * @returns k is cut to the rows of b that may be paired.
 */
export function topProducts(
  a: Float32Array,
  b: Float32Array,
  d: number,
  options: { from: number; to: number; k: number; least?: boolean; exclude?: (row: number) => number },
): { greatest: TopProducts; least: TopProducts | null } {
  const { from, to } = options;
  const n = to - from;
  const m = b.length / d;
  invariant(Number.isInteger(m) && a.length >= to * d, 'topProducts: shapes do not fit');
  const k = Math.min(options.k, options.exclude === undefined ? m : m - 1);
  const high = new Keeper(n, k, 1);
  const low = options.least === true ? new Keeper(n, k, -1) : null;
  const zero = new Float32Array(d);
  for (let i = 0; i < n; i += 4) {
    const rows = [0, 1, 2, 3].map((r) => (i + r < n ? a.subarray((from + i + r) * d, (from + i + r + 1) * d) : zero));
    const [a0, a1, a2, a3] = rows as [Float32Array, Float32Array, Float32Array, Float32Array];
    const excluded = rows.map((_, r) => (options.exclude === undefined || i + r >= n ? -1 : options.exclude(from + i + r)));
    for (let j = 0; j < m; j += 2) {
      const two = j + 1 < m;
      const b0 = j * d;
      const b1 = two ? b0 + d : b0;
      let s00 = 0, s10 = 0, s20 = 0, s30 = 0, s01 = 0, s11 = 0, s21 = 0, s31 = 0;
      for (let q = 0; q < d; q++) {
        const u = b[b0 + q];
        const v = b[b1 + q];
        const w0 = a0[q];
        const w1 = a1[q];
        const w2 = a2[q];
        const w3 = a3[q];
        s00 += w0 * u; s10 += w1 * u; s20 += w2 * u; s30 += w3 * u;
        s01 += w0 * v; s11 += w1 * v; s21 += w2 * v; s31 += w3 * v;
      }
      const first = [s00, s10, s20, s30];
      const second = [s01, s11, s21, s31];
      for (let r = 0; r < 4 && i + r < n; r++) {
        if (excluded[r] !== j) {
          high.add(i + r, j, first[r]);
          low?.add(i + r, j, first[r]);
        }
        if (two && excluded[r] !== j + 1) {
          high.add(i + r, j + 1, second[r]);
          low?.add(i + r, j + 1, second[r]);
        }
      }
    }
  }
  return { greatest: high.result(), least: low === null ? null : low.result() };
}

/** Keeps the k greatest values (of sign·value) of each row in sorted order; offers come with ascending index. */
class Keeper {
  readonly #k: number;
  readonly #sign: number;
  readonly #indices: Uint32Array;
  readonly #values: Float64Array;
  /** What a value must exceed to be kept. */
  readonly #bar: Float64Array;

  constructor(n: number, k: number, sign: 1 | -1) {
    this.#k = k;
    this.#sign = sign;
    this.#indices = new Uint32Array(n * k);
    this.#values = new Float64Array(n * k).fill(-Infinity);
    this.#bar = new Float64Array(n).fill(-Infinity);
  }

  add(row: number, index: number, product: number): void {
    const value = product * this.#sign;
    if (value <= this.#bar[row] || this.#k === 0) return;
    const base = row * this.#k;
    let at = this.#k - 1;
    for (; at > 0 && this.#values[base + at - 1] < value; at--) {
      this.#values[base + at] = this.#values[base + at - 1];
      this.#indices[base + at] = this.#indices[base + at - 1];
    }
    this.#values[base + at] = value;
    this.#indices[base + at] = index;
    this.#bar[row] = this.#values[base + this.#k - 1];
  }

  result(): TopProducts {
    return { indices: this.#indices, values: this.#values.map((v) => v * this.#sign), k: this.#k };
  }
}
