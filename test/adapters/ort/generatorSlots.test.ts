import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Slots } from '../../../src/adapters/ort/generatorSlots.ts';
import type { Slot } from '../../../src/adapters/ort/generatorSlots.ts';
import { KeyValueStore } from '../../../src/adapters/ort/generatorStore.ts';

const SHAPE = { slots: 3, maxLength: 600, layers: 2, kvHeads: 2, headDim: 4 };

/** Keys and values of position t of a token: any numbers that tell both. */
function fill(store: KeyValueStore, slot: Slot, ids: readonly number[]): void {
  for (const [t, id] of ids.entries()) {
    if (t < slot.ids.length) continue;
    for (let layer = 0; layer < SHAPE.layers; layer++) {
      const fresh = Float32Array.from({ length: 8 }, (_, i) => id * 1000 + t * 10 + i + layer);
      store.append(store.keys(layer, slot.index, 1), fresh, [t], 1);
      store.append(store.values(layer, slot.index, 1), fresh.map((x) => -x), [t], 1);
    }
    slot.ids.push(id);
    slot.read = slot.ids.length;
  }
}

function held(store: KeyValueStore, { index }: Slot, length: number): number[] {
  const width = store.capacity * SHAPE.headDim;
  return Array.from({ length: SHAPE.layers * 2 }, (_, i) => (i % 2 === 0 ? store.keys(i >> 1, index, 1) : store.values(i >> 1, index, 1)))
    .flatMap((data) => [0, 1].flatMap((head) => [...data.subarray(head * width, head * width + length * SHAPE.headDim)]));
}

test('a known beginning is taken over: in place, or as a copy while its owner is busy', () => {
  const store = new KeyValueStore(SHAPE);
  const slots = new Slots(store, true);
  const ids = [5, 6, 7, 8, 9];
  const first = slots.take(Int32Array.from(ids), 4)!;
  assert.equal(first.ids.length, 0);
  fill(store, first, ids);
  const beside = slots.take(Int32Array.of(5, 6, 7, 1), 3)!;
  assert.notEqual(beside.index, first.index);
  assert.deepEqual(beside.ids, [5, 6, 7]);
  assert.deepEqual(held(store, beside, 3), held(store, first, 3));
  slots.free(first);
  const again = slots.take(Int32Array.from(ids), 4)!;
  assert.equal(again.index, first.index);
  assert.deepEqual(again.ids, [5, 6, 7, 8]);
  // Tokens written one by one are not shared.
  again.ids.push(9, 10);
  slots.free(again);
  assert.deepEqual(slots.take(Int32Array.of(5, 6, 7, 8, 9, 10), 6)!.ids, [5, 6, 7, 8]);
});

test('another beginning does not displace a long one while other slots are free, and no slot is given twice', () => {
  const store = new KeyValueStore(SHAPE);
  const slots = new Slots(store, true);
  const long = [1, 2, 3, 4, 5, 6, 7, 8];
  const first = slots.take(Int32Array.from(long), 7)!;
  fill(store, first, long);
  slots.free(first);
  const other = slots.take(Int32Array.of(1, 9, 9), 2)!;
  assert.deepEqual(other.ids, [1]);
  assert.notEqual(other.index, first.index);
  const [a, b] = [slots.take(Int32Array.from(long), 7)!, slots.take(Int32Array.from(long), 7)!];
  assert.deepEqual([a.ids, b.ids], [long.slice(0, 7), long.slice(0, 7)]);
  assert.equal(new Set([other.index, a.index, b.index]).size, 3);
  assert.equal(slots.take(Int32Array.of(1), 0), undefined);
});

test('the memory grows with the rows, keeps what it holds, and ends at the greatest length', () => {
  const store = new KeyValueStore(SHAPE);
  const slots = new Slots(store, false);
  const taken = [0, 1, 2].map((seed) => {
    const slot = slots.take(Int32Array.of(seed), 0)!;
    fill(store, slot, Array.from({ length: 20 }, (_, t) => seed * 50 + t));
    return slot;
  });
  const before = taken.map((slot) => held(store, slot, 20));
  assert.equal(store.capacity, 256);
  store.ensure(257);
  assert.equal(store.capacity, 512);
  store.ensure(513);
  assert.equal(store.capacity, 600);
  assert.deepEqual(taken.map((slot) => held(store, slot, 20)), before);
});

test('a row known longer than its request does not keep the edits it was steered with', () => {
  const slots = new Slots(new KeyValueStore(SHAPE), true);
  const steering = { key: 'k', from: 2, edits: [new Float32Array(8)] };
  const slot = slots.take(Int32Array.of(1, 2), 1, steering)!;
  slots.free(slot);
  assert.deepEqual(slot.steering, { key: 'k', from: 2 });
});
