import { expNegative } from '../math/exp.ts';

/**
 * A prediction of the next token, by its logits [V] = data[at .. at+size): log-probabilities and divergences in float64. What is
 * asked for is computed then, in as few passes over the vocabulary as it takes.
 */
export class NextToken {
  readonly #data: Float32Array;
  readonly #at: number;
  readonly size: number;
  readonly #max: number;
  /** log Σ e^(l − max); NaN before it is known. */
  #logSum = NaN;
  #logProbs: Float64Array | undefined;
  /** Whether every logit is a finite number; otherwise nothing below is defined. */
  readonly finite: boolean;

  constructor(data: Float32Array, at: number, size: number) {
    this.#data = data;
    this.#at = at;
    this.size = size;
    let max = -Infinity;
    let odd = 0;
    for (let i = at; i < at + size; i++) {
      const value = data[i];
      if (value > max) max = value;
      odd += value - value; // NaN once one is not finite
    }
    this.#max = max;
    this.finite = odd === 0;
  }

  /** Natural log-probability of a token. */
  logProb(id: number): number {
    return this.#data[this.#at + id] - (this.#max + this.#normaliser());
  }

  /** Those of all tokens [V]. */
  logProbs(): Float64Array {
    if (this.#logProbs === undefined) {
      const shift = this.#max + this.#normaliser();
      const out = new Float64Array(this.size);
      for (let i = 0; i < out.length; i++) out[i] = this.#data[this.#at + i] - shift;
      this.#logProbs = out;
    }
    return this.#logProbs;
  }

  /** Logit of one token minus that of another. */
  difference(one: number, other: number): number {
    return this.#data[this.#at + one] - this.#data[this.#at + other];
  }

  /**
   * KL(this‖other) = Σ p·(log p − log q) in nats, as Σ e_i (a_i − b_i) / Σ e_i − (log Σ e^a − log Σ e^b) with a, b logits less their
   * maxima. Zero for equal predictions; rounding below zero is cut off.
   */
  klFrom(other: NextToken): number {
    const [a, b, p, q] = [this.#data, other.#data, this.#max, other.#max];
    const [from, end, shift] = [this.#at, this.#at + this.size, other.#at - this.#at];
    let sum = 0;
    let moved = 0;
    for (let i = from; i < end; i++) {
      const x = a[i] - p;
      const e = expNegative(x);
      sum += e;
      moved += e * (x - (b[i + shift] - q));
    }
    this.#logSum = Math.log(sum);
    return Math.max(0, moved / sum - (this.#logSum - other.#normaliser()));
  }

  #normaliser(): number {
    if (Number.isNaN(this.#logSum)) {
      const [data, max] = [this.#data, this.#max];
      let sum = 0;
      for (let i = this.#at; i < this.#at + this.size; i++) sum += expNegative(data[i] - max);
      this.#logSum = Math.log(sum);
    }
    return this.#logSum;
  }
}
