/**
 * Σ‖x − x̄‖² over a stream of vectors, in one pass and double precision. Sums are kept about the first vector rather than
 * about zero, so that a mean far from zero (the residual stream's outlier dimensions) costs no digits.
 */
export class VarianceMeter {
  readonly #D: number;
  readonly #origin: Float64Array;
  readonly #sums: Float64Array;
  readonly #squares: Float64Array;
  #count = 0;

  constructor(D: number) {
    this.#D = D;
    this.#origin = new Float64Array(D);
    this.#sums = new Float64Array(D);
    this.#squares = new Float64Array(D);
  }

  /** @param vectors [n, D] */
  add(vectors: Float32Array): void {
    const D = this.#D;
    if (this.#count === 0 && vectors.length >= D) this.#origin.set(vectors.subarray(0, D));
    for (let start = 0; start + D <= vectors.length; start += D) {
      for (let d = 0; d < D; d++) {
        const value = vectors[start + d]! - this.#origin[d]!;
        this.#sums[d]! += value;
        this.#squares[d]! += value * value;
      }
    }
    this.#count += vectors.length / D;
  }

  get count(): number {
    return this.#count;
  }

  /** Σ‖x − x̄‖² of everything added; 0 when nothing was. */
  sumOfSquares(): number {
    let total = 0;
    for (let d = 0; d < this.#D; d++) total += this.#squares[d]! - (this.#count === 0 ? 0 : this.#sums[d]! ** 2 / this.#count);
    return total;
  }

  /** x̄ [D]. */
  mean(): Float64Array {
    return this.#origin.map((origin, d) => origin + this.#sums[d]! / Math.max(1, this.#count));
  }
}
