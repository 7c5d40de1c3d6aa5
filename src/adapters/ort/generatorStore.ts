/** Positions allocated at first; the memory doubles as rows get longer. */
const FIRST_CAPACITY = 256;

/**
 * Keys and values of several rows of tokens ("slots"): per layer one array [slots, kvHeads, capacity, headDim] of each. A slot's
 * share lies together, so that one slot, or several neighbours, are a tensor without a copy.
 */
export class KeyValueStore {
  readonly slots: number;
  readonly maxLength: number;
  readonly #kvHeads: number;
  readonly #headDim: number;
  #keys: Float32Array<ArrayBuffer>[];
  #values: Float32Array<ArrayBuffer>[];
  #capacity: number;

  constructor(shape: { readonly slots: number; readonly maxLength: number; readonly layers: number; readonly kvHeads: number; readonly headDim: number }) {
    this.slots = shape.slots;
    this.maxLength = shape.maxLength;
    this.#kvHeads = shape.kvHeads;
    this.#headDim = shape.headDim;
    this.#capacity = Math.min(FIRST_CAPACITY, shape.maxLength);
    const make = (): Float32Array<ArrayBuffer>[] => Array.from({ length: shape.layers }, () => new Float32Array(this.slots * this.#slotSize));
    this.#keys = make();
    this.#values = make();
  }

  /** Positions each slot has room for now. */
  get capacity(): number {
    return this.#capacity;
  }

  get #slotSize(): number {
    return this.#kvHeads * this.#capacity * this.#headDim;
  }

  /** Of slots [first, first + count); invalid after the next `ensure`. */
  keys(layer: number, first: number, count: number): Float32Array {
    return this.#keys[layer].subarray(first * this.#slotSize, (first + count) * this.#slotSize);
  }

  values(layer: number, first: number, count: number): Float32Array {
    return this.#values[layer].subarray(first * this.#slotSize, (first + count) * this.#slotSize);
  }

  /** Makes room for `length` positions a slot. */
  ensure(length: number): void {
    if (length <= this.#capacity) return;
    const old = this.#capacity * this.#headDim;
    while (this.#capacity < length) this.#capacity *= 2;
    this.#capacity = Math.min(this.#capacity, this.maxLength);
    const width = this.#capacity * this.#headDim;
    const grown = (from: Float32Array): Float32Array<ArrayBuffer> => {
      const to = new Float32Array(this.slots * this.#slotSize);
      for (let head = 0; head < this.slots * this.#kvHeads; head++) to.set(from.subarray(head * old, (head + 1) * old), head * width);
      return to;
    };
    // One at a time, so that old and new never stand side by side whole.
    for (const list of [this.#keys, this.#values]) for (const layer of list.keys()) list[layer] = grown(list[layer]);
  }

  /** Copies the first `length` positions of one slot to another. */
  copy(from: number, to: number, length: number): void {
    const width = this.#capacity * this.#headDim;
    for (const list of [this.#keys, this.#values]) {
      for (const data of list) {
        for (let head = 0; head < this.#kvHeads; head++) {
          const source = (from * this.#kvHeads + head) * width;
          data.copyWithin((to * this.#kvHeads + head) * width, source, source + length * this.#headDim);
        }
      }
    }
  }

  /** Zeroes one slot: what is not a number there would outlive its row, since even masked places are multiplied. */
  clear(slot: number): void {
    for (const list of [this.#keys, this.#values]) for (const data of list) data.fill(0, slot * this.#slotSize, (slot + 1) * this.#slotSize);
  }

  /** Writes fresh [rows, kvHeads, cols, headDim] into `slots` (of `keys` or `values`) from position starts[row] on. */
  append(slots: Float32Array, fresh: Float32Array, starts: readonly number[], cols: number): void {
    const part = cols * this.#headDim;
    for (const [row, start] of starts.entries()) {
      for (let head = 0; head < this.#kvHeads; head++) {
        const index = row * this.#kvHeads + head;
        slots.set(fresh.subarray(index * part, (index + 1) * part), (index * this.#capacity + start) * this.#headDim);
      }
    }
  }
}
