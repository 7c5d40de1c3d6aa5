import { invariant } from '../../domain/errors.ts';
import type { SparseCodes } from '../../domain/sparseCodes.ts';
import type { SharedEncoder } from './messages.ts';

/**
 * Collects dense rows of relu(h) [.., F] into SparseCodes: entries above their thresholds, of those the k largest of a row
 * (of equal ones those with the lower index). Rows never appended stay empty.
 */
export class CodeCollector {
  readonly #nFeatures: number;
  readonly #threshold: Float32Array | null;
  readonly #k: number;
  readonly #offsets: Uint32Array;
  #features = new Uint32Array(1024);
  #values = new Float32Array(1024);
  #count = 0;
  #row = 0;

  constructor(rows: number, { nFeatures, threshold, k }: Pick<SharedEncoder, 'nFeatures' | 'threshold' | 'k'>) {
    this.#nFeatures = nFeatures;
    this.#threshold = threshold;
    this.#k = k ?? Infinity;
    this.#offsets = new Uint32Array(rows + 1);
  }

  /** Appends row `row`, which starts at `start` in `dense`. Rows come in ascending order. */
  add(row: number, dense: Float32Array, start: number): void {
    invariant(row >= this.#row, 'rows of codes come in ascending order');
    this.#closeUpTo(row);
    this.#reserve(this.#nFeatures);
    let count = this.#count;
    const features = this.#features;
    const values = this.#values;
    const threshold = this.#threshold;
    for (let j = 0; j < this.#nFeatures; j++) {
      const value = dense[start + j];
      if (value > (threshold === null ? 0 : threshold[j])) {
        features[count] = j;
        values[count] = value;
        count++;
      }
    }
    this.#count = count - this.#count > this.#k ? this.#keepLargest(this.#count, count) : count;
    this.#closeUpTo(row + 1);
  }

  /** Keeps the k largest of entries [from, to), in order of their features; returns where they now end. */
  #keepLargest(from: number, to: number): number {
    const values = this.#values;
    const order = Uint32Array.from({ length: to - from }, (_, i) => from + i).sort((a, b) => values[b] - values[a] || a - b);
    const kept = order.subarray(0, this.#k).sort();
    for (const [i, at] of kept.entries()) {
      this.#features[from + i] = this.#features[at];
      values[from + i] = values[at];
    }
    return from + kept.length;
  }

  #closeUpTo(row: number): void {
    for (let r = this.#row; r < row; r++) this.#offsets[r + 1] = this.#count;
    this.#row = row;
  }

  #reserve(more: number): void {
    const needed = this.#count + more;
    if (needed <= this.#features.length) return;
    const capacity = Math.max(needed, 2 * this.#features.length);
    const features = new Uint32Array(capacity);
    features.set(this.#features);
    const values = new Float32Array(capacity);
    values.set(this.#values);
    this.#features = features;
    this.#values = values;
  }

  finish(): SparseCodes {
    const rows = this.#offsets.length - 1;
    this.#closeUpTo(rows);
    return {
      rows,
      nFeatures: this.#nFeatures,
      offsets: this.#offsets,
      features: this.#features.slice(0, this.#count),
      values: this.#values.slice(0, this.#count),
    };
  }
}
