import { invariant } from '../domain/errors.ts';
import type { BatchMoments } from './kernels.ts';

/**
 * Mean and covariance of a stream of vectors, in double precision and D² numbers of memory, whatever the number of
 * vectors. Batches are merged by their means and centred products (Chan, Golub & LeVeque 1983), so that a mean far from
 * zero (the residual stream's outlier dimensions) costs no digits, and the order of batches changes only the rounding.
 *
 * Work: 2·n·D² flops in the kernel that makes BatchMoments, here 4·D² for each batch.
 */
export class CovarianceMeter {
  readonly D: number;
  readonly #mean: Float64Array;
  /** Σ(x − mean)(x − mean)ᵀ [D, D]. */
  readonly #scatter: Float64Array;
  #count = 0;

  constructor(D: number) {
    this.D = D;
    this.#mean = new Float64Array(D);
    this.#scatter = new Float64Array(D * D);
  }

  get count(): number {
    return this.#count;
  }

  /** Mean so far [D]: the best origin for the moments of the next batch. For the first, any of its vectors serves. */
  get mean(): Float64Array {
    return this.#mean.slice();
  }

  /** @param origin what the batch's moments are about; digits are lost only where it is far from the batch's mean. */
  add({ count, sums, products }: BatchMoments, origin: Float64Array): void {
    const { D } = this;
    invariant(sums.length === D && products.length === D * D && origin.length === D, `moments of vectors of ${D}`);
    if (count === 0) return;
    const offset = sums.map((sum) => sum / count);
    this.#merge(count, offset.map((value, d) => value + origin[d]!), (a, b) => products[a * D + b]! - count * offset[a]! * offset[b]!);
  }

  /** Takes in everything another meter has seen. */
  merge(other: CovarianceMeter): void {
    invariant(other.D === this.D, `meters of ${this.D} and ${other.D} dimensions`);
    if (other.#count > 0) this.#merge(other.#count, other.#mean, (a, b) => other.#scatter[a * this.D + b]!);
  }

  #merge(count: number, mean: Float64Array, scatter: (a: number, b: number) => number): void {
    const { D } = this;
    const total = this.#count + count;
    const weight = (this.#count * count) / total;
    const step = mean.map((value, d) => value - this.#mean[d]!);
    for (let a = 0; a < D; a++) {
      for (let b = 0; b < D; b++) this.#scatter[a * D + b]! += scatter(a, b) + weight * step[a]! * step[b]!;
    }
    for (let d = 0; d < D; d++) this.#mean[d]! += (step[d]! * count) / total;
    this.#count = total;
  }

  /** [D, D], divided by n, exactly symmetric. */
  covariance(): Float64Array {
    const { D } = this;
    invariant(this.#count > 0, 'covariance of no vectors');
    const out = new Float64Array(D * D);
    for (let a = 0; a < D; a++) {
      for (let b = 0; b <= a; b++) out[a * D + b] = out[b * D + a] = (this.#scatter[a * D + b]! + this.#scatter[b * D + a]!) / 2 / this.#count;
    }
    return out;
  }
}
