import { invariant } from '../domain/errors.ts';

/** One kept window: which fragment, by what key it was kept, and its activations [L]. */
export interface KeptFragment {
  readonly fragment: number;
  readonly key: number;
  readonly activations: Float32Array;
}

/**
 * For each of F features the K fragments of greatest key, with their L activations: a streaming top-K. Ties go to the
 * smaller fragment number, so the result does not depend on the order of offers.
 *
 * Memory: F·K·16 bytes, plus K·L·4 for each feature that was ever active (grown by doubling).
 */
export class KeptFragments {
  readonly #k: number;
  readonly #length: number;
  readonly #sizes: Uint32Array;
  readonly #keys: Float64Array;
  readonly #fragments: Float64Array;
  readonly #payload: (Float32Array | undefined)[];
  /** Slot of each full feature's weakest fragment. */
  readonly #worst: Uint32Array;

  constructor(nFeatures: number, k: number, length: number) {
    this.#k = k;
    this.#length = length;
    this.#sizes = new Uint32Array(nFeatures);
    this.#keys = new Float64Array(nFeatures * k);
    this.#fragments = new Float64Array(nFeatures * k);
    this.#payload = Array.from({ length: nFeatures });
    this.#worst = new Uint32Array(nFeatures);
  }

  /** Whether `offer` would keep this; `offer` checks it too. */
  wants(f: number, fragment: number, key: number): boolean {
    if (this.#sizes[f] < this.#k) return true;
    const worst = f * this.#k + this.#worst[f];
    const worstKey = this.#keys[worst];
    return key > worstKey || (key === worstKey && fragment < this.#fragments[worst]);
  }

  /**
   * Offers a fragment with its activations, read from `source` at `at` (L numbers), and returns the slot it took, or −1.
   * With `replace` ≥ 0 it takes that slot, whatever is there.
   */
  offer(f: number, fragment: number, key: number, source: Float32Array, at: number, replace = -1): number {
    let slot = replace;
    if (slot < 0) {
      if (!this.wants(f, fragment, key)) return -1;
      slot = this.#sizes[f] < this.#k ? this.#sizes[f]++ : this.#worst[f];
    }
    this.#keys[f * this.#k + slot] = key;
    this.#fragments[f * this.#k + slot] = fragment;
    this.#room(f, slot).set(source.subarray(at, at + this.#length), slot * this.#length);
    if (this.#sizes[f] === this.#k) this.#findWorst(f);
    return slot;
  }

  keyAt(f: number, slot: number): number {
    return this.#keys[f * this.#k + slot];
  }

  fragmentAt(f: number, slot: number): number {
    return this.#fragments[f * this.#k + slot];
  }

  #room(f: number, slot: number): Float32Array {
    const held = this.#payload[f];
    const need = (slot + 1) * this.#length;
    if (held !== undefined && held.length >= need) return held;
    const slots = Math.min(this.#k, Math.max(4, 2 * slot));
    const grown = new Float32Array(Math.max(slots * this.#length, need));
    if (held !== undefined) grown.set(held);
    this.#payload[f] = grown;
    return grown;
  }

  #findWorst(f: number): void {
    const base = f * this.#k;
    let worst = 0;
    for (let i = 1; i < this.#k; i++) {
      const lower = this.#keys[base + i] - this.#keys[base + worst];
      if (lower < 0 || (lower === 0 && this.#fragments[base + i] > this.#fragments[base + worst])) worst = i;
    }
    this.#worst[f] = worst;
  }

  /** What feature f keeps, greatest key first. */
  get(f: number): KeptFragment[] {
    const payload = this.#payload[f];
    if (payload === undefined) return [];
    const kept = Array.from({ length: this.#sizes[f] }, (_, slot) => ({
      fragment: this.fragmentAt(f, slot),
      key: this.keyAt(f, slot),
      activations: payload.slice(slot * this.#length, (slot + 1) * this.#length),
    }));
    return kept.sort((a, b) => b.key - a.key || a.fragment - b.fragment);
  }

  /** The state as flat arrays. Activations are packed: per fragment the number of non-zeros, then (place, value) pairs; or −1 and all L. */
  save(): { sizes: Uint32Array; keys: Float64Array; fragments: Float64Array; packed: Float32Array } {
    const total = this.#sizes.reduce((sum, size) => sum + size, 0);
    const keys = new Float64Array(total);
    const fragments = new Float64Array(total);
    const packed = new Float32Array(total * (this.#length + 1));
    let n = 0;
    let end = 0;
    for (let f = 0; f < this.#sizes.length; f++) {
      const payload = this.#payload[f];
      for (let slot = 0; slot < this.#sizes[f]; slot++, n++) {
        keys[n] = this.keyAt(f, slot);
        fragments[n] = this.fragmentAt(f, slot);
        invariant(payload !== undefined, 'a kept fragment without activations');
        end = pack(payload.subarray(slot * this.#length, (slot + 1) * this.#length), packed, end);
      }
    }
    return { sizes: this.#sizes.slice(), keys, fragments, packed: packed.slice(0, end) };
  }

  restore(state: { sizes: Uint32Array; keys: Float64Array; fragments: Float64Array; packed: Float32Array }): void {
    this.#sizes.set(state.sizes);
    let n = 0;
    let end = 0;
    for (let f = 0; f < this.#sizes.length; f++) {
      for (let slot = 0; slot < this.#sizes[f]; slot++, n++) {
        this.#keys[f * this.#k + slot] = state.keys[n];
        this.#fragments[f * this.#k + slot] = state.fragments[n];
        const room = this.#room(f, slot);
        end = unpack(state.packed, end, room.subarray(slot * this.#length, (slot + 1) * this.#length));
      }
      if (this.#sizes[f] === this.#k) this.#findWorst(f);
    }
  }
}

function pack(values: Float32Array, into: Float32Array, start: number): number {
  let active = 0;
  for (const value of values) if (value !== 0) active++;
  let end = start;
  if (2 * active >= values.length) {
    into[end++] = -1;
    into.set(values, end);
    return end + values.length;
  }
  into[end++] = active;
  for (let i = 0; i < values.length; i++) {
    if (values[i] === 0) continue;
    into[end++] = i;
    into[end++] = values[i];
  }
  return end;
}

function unpack(from: Float32Array, start: number, values: Float32Array): number {
  const active = from[start];
  let at = start + 1;
  if (active === -1) {
    values.set(from.subarray(at, at + values.length));
    return at + values.length;
  }
  for (let i = 0; i < active; i++, at += 2) values[from[at]] = from[at + 1];
  return at;
}
