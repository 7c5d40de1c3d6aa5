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
  /** Room for the k features kept of a row; null = all are. */
  readonly #largest: Uint32Array | null;
  readonly #offsets: Uint32Array;
  #features = new Uint32Array(1024);
  #values = new Float32Array(1024);
  #count = 0;
  #row = 0;

  constructor(rows: number, { nFeatures, threshold, k }: Pick<SharedEncoder, 'nFeatures' | 'threshold' | 'k'>) {
    this.#nFeatures = nFeatures;
    this.#threshold = threshold;
    this.#largest = k === null || k >= nFeatures ? null : new Uint32Array(k);
    this.#offsets = new Uint32Array(rows + 1);
  }

  /** Appends row `row`, which starts at `start` in `dense`. Rows come in ascending order. */
  add(row: number, dense: Float32Array, start: number): void {
    invariant(row >= this.#row, 'rows of codes come in ascending order');
    this.#closeUpTo(row);
    if (this.#largest === null) this.#addAll(dense, start);
    else this.#addLargest(dense, start, this.#largest);
    this.#closeUpTo(row + 1);
  }

  #addAll(dense: Float32Array, start: number): void {
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
    this.#count = count;
  }

  /**
   * A heap of the best k so far with the worst on top. About half of F are active before the choice, but few of them are
   * better than that one, so this costs little more than looking at each once.
   */
  #addLargest(dense: Float32Array, start: number, heap: Uint32Array): void {
    const k = heap.length;
    const threshold = this.#threshold;
    const worse = (a: number, b: number): boolean => dense[start + a] < dense[start + b] || (dense[start + a] === dense[start + b] && a > b);
    let size = 0;
    let bar = 0; // value on top of a full heap
    for (let j = 0; j < this.#nFeatures; j++) {
      const value = dense[start + j];
      // Of equal ones the earlier stays, so only a greater one comes in.
      if (!(value > bar) || (threshold !== null && !(value > threshold[j]))) continue;
      let at = size;
      if (size < k) {
        for (size++; at > 0 && worse(j, heap[(at - 1) >> 1]); at = (at - 1) >> 1) heap[at] = heap[(at - 1) >> 1];
      } else {
        at = 0;
        for (let child = 1; child < k; child = 2 * at + 1) {
          if (child + 1 < k && worse(heap[child + 1], heap[child])) child++;
          if (!worse(heap[child], j)) break;
          heap[at] = heap[child];
          at = child;
        }
      }
      heap[at] = j;
      if (size === k) bar = dense[start + heap[0]];
    }
    this.#reserve(size);
    for (const feature of heap.subarray(0, size).sort()) {
      this.#features[this.#count] = feature;
      this.#values[this.#count++] = dense[start + feature];
    }
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
