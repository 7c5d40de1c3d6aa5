import { invariant } from '../domain/errors.ts';
import type { PatchChanges } from './patchChanges.ts';

/** x′ − x of every prompt, [T, D] each, kept as a sum in float64 while units join and leave. */
export class PatchedDeltas {
  readonly #deltas: readonly Float64Array[];
  readonly #width: number;
  /** Σ over a prompt's positions of ‖x′ − x‖₂; NaN = to be computed again. */
  readonly #norms: Float64Array;

  constructor(lengths: readonly number[], width: number) {
    this.#deltas = lengths.map((length) => new Float64Array(length * width));
    this.#width = width;
    this.#norms = new Float64Array(lengths.length);
  }

  clear(): void {
    for (const delta of this.#deltas) delta.fill(0);
    this.#norms.fill(0);
  }

  of(prompt: number): Float64Array {
    return this.#deltas[prompt];
  }

  add(changes: PatchChanges, unit: number, prompt: number, times: 1 | -1): void {
    changes.addTo(this.#deltas[prompt], unit, prompt, times);
    this.#norms[prompt] = NaN;
  }

  /** A prompt's sum without one of its units. */
  without(changes: PatchChanges, unit: number, prompt: number): Float64Array {
    const left = this.#deltas[prompt].slice();
    changes.addTo(left, unit, prompt, -1);
    return left;
  }

  /** Mean of ‖x′ − x‖₂ over all positions of all prompts. */
  meanNorm(): number {
    let [sum, positions] = [0, 0];
    for (const [p, delta] of this.#deltas.entries()) {
      if (Number.isNaN(this.#norms[p])) this.#norms[p] = sumOfNorms(delta, this.#width);
      sum += this.#norms[p];
      positions += delta.length / this.#width;
    }
    invariant(positions > 0, 'no positions');
    return sum / positions;
  }
}

function sumOfNorms(delta: Float64Array, d: number): number {
  let sum = 0;
  for (let t = 0; t < delta.length; t += d) {
    let squares = 0;
    for (let q = t; q < t + d; q++) squares += delta[q] ** 2;
    sum += Math.sqrt(squares);
  }
  return sum;
}
