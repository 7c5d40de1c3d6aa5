/**
 * Keeps the k largest values of each of n rows, sorted; equal values by the smaller index, in whatever order they are offered. The
 * first `-1` in a row's `indices` ends what is kept.
 */
export class LargestKept {
  readonly k: number;
  /** [n, k] */
  readonly indices: Int32Array;
  /** [n, k], -Infinity where nothing is kept. */
  readonly values: Float32Array;
  /** [n]: what a value must reach to be kept; Infinity for rows that keep nothing. It never falls. */
  readonly bar: Float32Array;

  /** @param bar [n], from where they start: values below are not kept, even where there is room. */
  constructor(n: number, k: number, bar: Float32Array = new Float32Array(n).fill(-Infinity)) {
    this.k = k;
    this.indices = new Int32Array(n * k).fill(-1);
    this.values = new Float32Array(n * k).fill(-Infinity);
    this.bar = bar;
  }

  /** Offers a value; callers in a hurry look at the bar first. */
  offer(row: number, index: number, value: number): void {
    const { k, indices, values } = this;
    const base = row * k;
    let at = base + k - 1;
    if (!(value >= this.bar[row]) || (value === values[at] && indices[at] >= 0 && index > indices[at])) return;
    for (; at > base && (values[at - 1] < value || (values[at - 1] === value && (indices[at - 1] < 0 || indices[at - 1] > index))); at--) {
      values[at] = values[at - 1];
      indices[at] = indices[at - 1];
    }
    values[at] = value;
    indices[at] = index;
    if (values[base + k - 1] > this.bar[row]) this.bar[row] = values[base + k - 1];
  }
}
