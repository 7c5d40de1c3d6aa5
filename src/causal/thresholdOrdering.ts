import type { Rng } from '../math/rng.ts';

/** A set of patched units (features, or groups of them that are patched together) whose effect can be asked for. */
export interface PatchTrials {
  /** Mean KL(patched‖target) of the set as it stands. */
  readonly kl: number;
  /** The same if this unit alone left the set. `next`: those asked about next as long as none leaves, in that order. */
  without(unit: number, next: ArrayLike<number>): Promise<number>;
  /** Takes out the unit asked about last. */
  takeOut(unit: number): void;
}

/**
 * One pass of the paper's ordering (Cunningham et al. 2023, section 4.2 and its code, after ACDC, Conmy et al. 2023): every unit
 * of the set is visited once, in random order; it leaves when that makes the KL rise by less than tau. From an ascending
 * list of thresholds the sets are nested; inside a pass there is no order.
 *
 * @param members what is in the set; @returns those that stayed, ascending.
 */
export async function thresholdPass(set: PatchTrials, members: readonly number[], tau: number, rng: Rng): Promise<number[]> {
  const order = rng.shuffle(Uint32Array.from(members));
  const stayed: number[] = [];
  for (const [i, unit] of order.entries()) {
    const kl = await set.without(unit, order.subarray(i + 1));
    if (kl - set.kl < tau) set.takeOut(unit);
    else stayed.push(unit);
  }
  return stayed.sort((a, b) => a - b);
}

/** `count` thresholds from 10^low to 10^high, evenly spaced in their logarithm; the paper's are 50 from −5 to 0. */
export function thresholds(count: number, low = -5, high = 0): number[] {
  return Array.from({ length: count }, (_, i) => 10 ** (count === 1 ? high : low + (i * (high - low)) / (count - 1)));
}

/** Units by their expected change of the KL, the one that lowers it most first; of equal ones the lower number. */
export function attributionOrder(units: readonly number[], effects: Float64Array): number[] {
  return units.toSorted((a, b) => effects[a] - effects[b] || a - b);
}
