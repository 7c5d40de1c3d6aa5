import assert from 'node:assert/strict';
import { test } from 'node:test';
import { packFragments, packJudgedOn, unpackFragments } from '../../../src/adapters/prisma/packFragments.ts';

const U32 = 0xffff_ffff;

test('fragments come back in their order, whatever their steps', () => {
  const lists = [
    [],
    [{ row: 0, start: 0, length: 0 }],
    [{ row: 3, start: 64, length: 64 }, { row: 1, start: 0, length: 64 }, { row: 1, start: 128, length: 5 }],
    [{ row: U32, start: U32, length: U32 }, { row: 0, start: 0, length: 0 }, { row: U32, start: 63, length: 64 }],
    Array.from({ length: 300 }, (_, i) => ({ row: (i * 7919) % 100_003, start: (i % 16) * 64, length: 64 })),
  ];
  for (const list of lists) assert.deepEqual(unpackFragments(packFragments(list)), list);
});

test('what several scores were measured on is kept once, in the order of the text', () => {
  const windows = Array.from({ length: 100 }, (_, i) => ({ row: (i * 7919) % 100_003, start: (i % 16) * 64, length: 64 }));
  const { lists, places } = packJudgedOn([{ fragments: windows }, { fragments: windows.slice(0, 10) }, { fragments: [] }, { fragments: windows.toReversed() }]);
  assert.deepEqual(places, [0, 1, 2, 0]);
  assert.equal(lists.length, 3);
  assert.deepEqual(unpackFragments(lists[0]!), windows.toSorted((a, b) => a.row - b.row || a.start - b.start));
  assert.ok(lists[0]!.length <= 500, `${lists[0]!.length} bytes for 100 windows`);
});

test('fragments of neighbouring rows take three bytes', () => {
  const list = Array.from({ length: 20 }, (_, i) => ({ row: i, start: 0, length: 32 }));
  assert.equal(packFragments(list).length, 60);
});

test('what is no place in a text is refused, and torn bytes are noticed', () => {
  for (const bad of [-1, 0.5, U32 + 1, Number.NaN]) assert.throws(() => packFragments([{ row: bad, start: 0, length: 1 }]), { code: 'BAD_INPUT' });
  assert.throws(() => unpackFragments(packFragments([{ row: 1000, start: 0, length: 64 }]).subarray(0, 3)), /end within a number/);
});
