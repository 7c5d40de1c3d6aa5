import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kindCode, kindOf, packHistogram, packLogits, packNeighbours, packWindows, unpackHistogram, unpackLogits, unpackNeighbours, unpackWindows } from '../../../src/adapters/prisma/pack.ts';
import type { Exemplar } from '../../../src/domain/feature.ts';

/** Copied: packed windows share one buffer. */
const pack = (exemplars: readonly Exemplar[]): Buffer => Buffer.from(packWindows(exemplars));

function exemplar(ids: readonly number[], activations: readonly number[], more: Partial<Exemplar> = {}): Exemplar {
  return { kind: 'top', rank: 0, row: 1, start: 2, ids, activations, maxActivation: Math.max(0, ...activations), ...more };
}

test('windows come back as they were: narrow and wide ids, lengths around a byte of the bit map, largest integers', () => {
  const u32 = 0xffff_ffff;
  const exemplars = [
    exemplar([], []),
    exemplar([0], [0]),
    exemplar([65_535, 1], [1.5, 0]),
    exemplar([65_536, 1, 2], [0, -0.25, 3]),
    exemplar([u32, 0x8000_0000], [1, 2], { rank: u32, row: u32, start: u32 }),
    ...[7, 8, 9, 16, 17, 64].map((length) => exemplar(Array.from({ length }, (_, t) => t), Array.from({ length }, (_, t) => (t % 3 === 0 || t === length - 1 ? t + 0.5 : 0)))),
  ];
  const bytes = pack(exemplars);
  assert.deepEqual(unpackWindows(bytes, 'top', 100), exemplars);
  assert.deepEqual(unpackWindows(bytes, 'top', 3), exemplars.slice(0, 3));
  assert.deepEqual(unpackWindows(bytes, 'random', 0), []);
});

test('a window longer than the scratch buffer fits', () => {
  const length = 60_000;
  const long = exemplar(Array.from({ length }, (_, t) => t), Array.from({ length }, () => 1));
  assert.deepEqual(unpackWindows(pack([long]), 'top', 1), [long]);
});

test('a sparse window of 64 tokens takes 175 bytes', () => {
  const sparse = exemplar(Array.from({ length: 64 }, (_, t) => t), Array.from({ length: 64 }, (_, t) => (t < 5 ? 1 : 0)));
  // 19 head, 128 ids, 8 bit map, 20 activations; and one byte a row for the format.
  assert.equal(pack([sparse]).length, 1 + 175);
});

test('other columns come back, as the shortest decimals of their float32', () => {
  const histogram = { edges: [-1, 0.1, 2], counts: [0, 4_294_967_295] };
  // 0.1, not the 0.10000000149011612 that is its float32.
  assert.deepEqual(unpackHistogram(packHistogram(histogram)), histogram);
  assert.deepEqual(unpackHistogram(packHistogram({ edges: [], counts: [] })), { edges: [], counts: [] });
  assert.deepEqual(unpackLogits(packLogits([{ id: 70_000, value: -1.25 }])), [{ id: 70_000, value: -1.25 }]);
  assert.deepEqual(unpackNeighbours(packNeighbours([{ index: 3, cosine: 0.5 }, { index: 0, cosine: -1 }])), [{ index: 3, cosine: 0.5 }, { index: 0, cosine: -1 }]);
  for (const kind of ['top', 'quantile', 'random'] as const) assert.equal(kindOf(kindCode(kind)), kind);
});

test('what cannot be stored exactly is refused', () => {
  const refused: readonly (() => unknown)[] = [
    () => packWindows([exemplar([-1], [0])]),
    () => packWindows([exemplar([1.5], [0])]),
    () => packWindows([exemplar([0x1_0000_0000], [0])]),
    () => packWindows([exemplar([1], [Number.NaN])]),
    () => packWindows([exemplar([1], [1], { rank: -1 })]),
    () => packHistogram({ edges: [0, 1], counts: [-1] }),
    () => packHistogram({ edges: [0, Infinity], counts: [1] }),
    () => packLogits([{ id: Number.NaN, value: 1 }]),
  ];
  for (const attempt of refused) assert.throws(attempt, { code: 'BAD_INPUT' });
  assert.throws(() => unpackWindows(Buffer.from([9]), 'top', 1), /format 9/);
});
