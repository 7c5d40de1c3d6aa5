import { invariant } from '../domain/errors.ts';
import type { DictionaryWeights } from '../domain/dictionary.ts';
import type { SparseCodes } from '../domain/sparseCodes.ts';
import type { CleanPair } from './cleanPairs.ts';

/** Features that are patched together: one each, or both tails of a signed direction. */
export type PatchUnits = readonly (readonly number[])[];

/** One feature at one position of one prompt: ĉ − c, from the target's activation. */
interface Change {
  readonly position: number;
  readonly feature: number;
  readonly change: number;
}

/** What replacing each unit's activations by the target's changes, prompt by prompt; only what changes is kept. */
export class PatchChanges {
  readonly weights: DictionaryWeights;
  /** Units that change something in some prompt, ascending. Whether the others are patched makes no difference. */
  readonly active: readonly number[];
  readonly #changes: readonly ReadonlyMap<number, readonly Change[]>[];

  constructor(pairs: readonly CleanPair[], weights: DictionaryWeights, units: PatchUnits) {
    this.weights = weights;
    const unitOf = new Int32Array(weights.config.nFeatures).fill(-1);
    units.forEach((features, unit) => {
      for (const feature of features) {
        invariant(feature >= 0 && feature < unitOf.length && unitOf[feature] === -1, `feature ${feature} is not in one unit`);
        unitOf[feature] = unit;
      }
    });
    const changes = units.map(() => new Map<number, Change[]>());
    for (const [p, { length, base, target }] of pairs.entries()) {
      const [inBase, inTarget] = [base, target].map(({ run }) => run.codes.get(weights));
      invariant(inBase !== undefined && inTarget !== undefined, `dictionary ${weights.config.name} was not encoded`);
      for (let t = 0; t < length; t++) {
        for (const [feature, change] of differences(inBase, base.first + t, inTarget, target.first + t)) {
          const unit = unitOf[feature];
          if (unit < 0) continue;
          const known = changes[unit].get(p);
          if (known === undefined) changes[unit].set(p, [{ position: t, feature, change }]);
          else known.push({ position: t, feature, change });
        }
      }
    }
    this.#changes = changes;
    this.active = changes.keys().filter((unit) => changes[unit].size > 0).toArray();
  }

  /** The prompts that a unit changes, ascending; with `position`, at that position of each. */
  prompts(unit: number, position?: readonly number[]): number[] {
    const found = [...this.#changes[unit]];
    return found.flatMap(([p, list]) => (position === undefined || list.some((one) => one.position === position[p]) ? [p] : []));
  }

  /** Adds `times` · s·Σ (ĉ − c) f of a unit to a prompt's delta [T, D]. */
  addTo(delta: Float64Array, unit: number, prompt: number, times: number): void {
    const { decoder, config: { dOut: d, outputScale } } = this.weights; // prettier-ignore
    for (const { position, feature, change } of this.#changes[unit].get(prompt) ?? []) {
      const [factor, row, to] = [times * change * outputScale, feature * d, position * d];
      for (let q = 0; q < d; q++) delta[to + q] += factor * decoder[row + q];
    }
  }

  /** Σ over positions of gradient · s·(ĉ − c) f: what a unit changes to first order. `gradient` holds the prompt's vectors from `at` on. */
  effect(gradient: Float32Array, at: number, unit: number, prompt: number): number {
    const { decoder, config: { dOut: d, outputScale } } = this.weights; // prettier-ignore
    let sum = 0;
    for (const { position, feature, change } of this.#changes[unit].get(prompt) ?? []) {
      let dot = 0;
      for (let q = 0; q < d; q++) dot += gradient[at + position * d + q] * decoder[feature * d + q];
      sum += dot * change * outputScale;
    }
    return sum;
  }
}

/** Features whose activation differs between two rows of codes, with target − base, ascending. */
function* differences(base: SparseCodes, row: number, target: SparseCodes, targetRow: number): Generator<[number, number]> {
  let [i, j] = [base.offsets[row], target.offsets[targetRow]];
  const [iEnd, jEnd] = [base.offsets[row + 1], target.offsets[targetRow + 1]];
  while (i < iEnd || j < jEnd) {
    const left = i < iEnd ? base.features[i] : Infinity;
    const right = j < jEnd ? target.features[j] : Infinity;
    const feature = Math.min(left, right);
    const change = (right === feature ? target.values[j++] : 0) - (left === feature ? base.values[i++] : 0);
    if (change !== 0) yield [feature, change];
  }
}
