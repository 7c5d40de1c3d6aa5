import { invariant } from '../../domain/errors.ts';
import type { SparseCodes } from '../../domain/sparseCodes.ts';

/** Collects dense rows of non-negative activations [.., F] into SparseCodes; rows never appended stay empty. */
export class CodeCollector {
  readonly #nFeatures: number;
  readonly #offsets: Uint32Array;
  #features = new Uint32Array(1024);
  #values = new Float32Array(1024);
  #count = 0;
  #row = 0;

  constructor(rows: number, nFeatures: number) {
    this.#nFeatures = nFeatures;
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
    for (let j = 0; j < this.#nFeatures; j++) {
      const value = dense[start + j];
      if (value > 0) {
        features[count] = j;
        values[count] = value;
        count++;
      }
    }
    this.#count = count;
    this.#closeUpTo(row + 1);
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
