import type { KeyValueStore } from './generatorStore.ts';
import type { PlannedSteering } from './steeringPlan.ts';

/** Which edits a row's keys and values come from; null = none. */
export type SlotSteering = Pick<PlannedSteering, 'key' | 'from'> | null;

/** A row of the store. */
export interface Slot {
  readonly index: number;
  /** Tokens whose keys and values it holds. */
  ids: number[];
  /** How many of them, from the first, were read as pieces of a prompt and not written one by one. */
  read: number;
  steering: SlotSteering;
  busy: boolean;
  lastUse: number;
}

/**
 * Which row of tokens lies in which slot. A finished row stays until its slot is needed, and a new row takes over the longest
 * beginning that any slot shares with it, as far as both were edited alike: up to the first edited position rows of any steering
 * are the unsteered ones. Only what was read as a prompt is shared: keys of tokens written one by one differ
 * in their last bits (see BLOCK in generatorEngine.ts), and a result would depend on what was asked before it.
 */
export class Slots {
  readonly #store: KeyValueStore;
  readonly #slots: readonly Slot[];
  readonly #reuse: boolean;
  #clock = 0;

  constructor(store: KeyValueStore, reuse: boolean) {
    this.#store = store;
    this.#reuse = reuse;
    this.#slots = Array.from({ length: store.slots }, (_, index) => ({ index, ids: [], read: 0, steering: null, busy: false, lastUse: 0 }));
  }

  get(index: number): Slot {
    return this.#slots[index];
  }

  /** An idle slot holding as much of `ids` as is known, at most `most` tokens; undefined while all are busy. */
  take(ids: Int32Array, most: number, steering: SlotSteering = null): Slot | undefined {
    const idle = this.#slots.filter((slot) => !slot.busy);
    if (idle.length === 0) return undefined;
    const shared = new Map(this.#slots.map((slot) => [slot, this.#reuse ? commonLength(slot, ids, Math.min(most, editedAlike(slot.steering, steering))) : 0]));
    const donor = this.#slots.reduce((best, slot) => (shared.get(slot)! > shared.get(best)! ? slot : best));
    const length = shared.get(donor)!;
    // In place where little is lost; else the slot unused for longest gets a copy, so that other beginnings stay.
    const inPlace = length > 0 && !donor.busy && 2 * length >= donor.read;
    const slot = inPlace ? donor : idle.reduce((oldest, other) => (other.lastUse < oldest.lastUse ? other : oldest));
    if (slot !== donor && length > 0) this.#store.copy(donor.index, slot.index, length);
    slot.ids = Array.from(ids.subarray(0, length));
    slot.read = length;
    // Not its edits: they would hold whole encoders in memory for as long as the row is known.
    slot.steering = steering && { key: steering.key, from: steering.from };
    slot.busy = true;
    slot.lastUse = ++this.#clock;
    return slot;
  }

  /** Whoever took it needs it no more; its tokens stay known. */
  free(slot: Slot): void {
    slot.busy = false;
    slot.lastUse = ++this.#clock;
  }

  /** What it holds is unknown. */
  forget(slot: Slot): void {
    slot.ids = [];
    slot.read = 0;
    this.#store.clear(slot.index);
  }
}

/** Positions, from the first, at which rows of two steerings are edited alike. */
function editedAlike(a: SlotSteering, b: SlotSteering): number {
  if (a?.key === b?.key && a?.from === b?.from) return Infinity;
  return Math.min(a?.from ?? Infinity, b?.from ?? Infinity);
}

function commonLength(slot: Slot, ids: Int32Array, most: number): number {
  const end = Math.min(slot.read, ids.length, most);
  let length = 0;
  while (length < end && slot.ids[length] === ids[length]) length++;
  return length;
}
