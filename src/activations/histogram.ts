import { invariant } from '../domain/errors.ts';

/** Bins a histogram holds; after the first doubling between half and all of them are in use. Even. */
export const HISTOGRAM_BINS = 32;

/**
 * One histogram of positive activations for each of F features, in one pass, with no range known beforehand. A
 * feature's bins are [i·w, (i+1)·w) with w a power of two; when a value does not fit, neighbouring bins are merged and w
 * doubles. As floor(floor(v/w)/2) = floor(v/2w), the result is exactly the histogram of the final width, which depends
 * on the largest value alone: the order of the values changes nothing.
 *
 * Memory: F · (32·4 + 8) bytes. Counts are 32-bit: at most 4 294 967 295 tokens a pass.
 */
export class Histograms {
  readonly #counts: Uint32Array;
  /** 1/w; 0 where no value came yet. Powers of two, so products with it are exact. */
  readonly #inverse: Float64Array;

  constructor(nFeatures: number) {
    this.#counts = new Uint32Array(nFeatures * HISTOGRAM_BINS);
    this.#inverse = new Float64Array(nFeatures);
  }

  /** Counts one value > 0 of feature f. */
  add(f: number, value: number): void {
    let bin = value * this.#inverse[f];
    if (bin >= HISTOGRAM_BINS || bin === 0) {
      this.#fit(f, value);
      bin = value * this.#inverse[f];
    }
    this.#counts[f * HISTOGRAM_BINS + (bin | 0)]++;
  }

  #fit(f: number, value: number): void {
    invariant(value > 0 && value < Infinity, `activation ${value} is not positive and finite`);
    const inverse = this.#inverse[f];
    // Smallest power of two w with value < bins·w.
    let width = inverse === 0 ? 2 ** (Math.floor(Math.log2(value / HISTOGRAM_BINS)) - 1) : 1 / inverse;
    const base = f * HISTOGRAM_BINS;
    while (value >= HISTOGRAM_BINS * width) {
      width *= 2;
      if (inverse === 0) continue;
      const half = HISTOGRAM_BINS / 2;
      for (let i = 0; i < half; i++) this.#counts[base + i] = this.#counts[base + 2 * i] + this.#counts[base + 2 * i + 1];
      this.#counts.fill(0, base + half, base + HISTOGRAM_BINS);
    }
    this.#inverse[f] = 1 / width;
  }

  /** How many values feature f had. */
  total(f: number): number {
    let sum = 0;
    for (let i = f * HISTOGRAM_BINS; i < (f + 1) * HISTOGRAM_BINS; i++) sum += this.#counts[i];
    return sum;
  }

  /** Edges (one more than counts) up to the last bin in use; empty for a feature that was never active. */
  get(f: number): { edges: number[]; counts: number[] } {
    const inverse = this.#inverse[f];
    if (inverse === 0) return { edges: [], counts: [] };
    const counts = Array.from(this.#counts.subarray(f * HISTOGRAM_BINS, (f + 1) * HISTOGRAM_BINS));
    while (counts[counts.length - 1] === 0) counts.pop();
    return { edges: Array.from({ length: counts.length + 1 }, (_, i) => i / inverse), counts };
  }

  /** Typed arrays that hold the whole state, for checkpoints; writing into them restores it. */
  get arrays(): { counts: Uint32Array; inverse: Float64Array } {
    return { counts: this.#counts, inverse: this.#inverse };
  }
}
