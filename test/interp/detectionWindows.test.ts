import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Exemplar } from '../../src/domain/feature.ts';
import { activeWindows, centredWindow } from '../../src/interp/detectionWindows.ts';
import { Rng } from '../../src/math/rng.ts';

function fragment(row: number, strongest: number, max: number, length = 64): Exemplar {
  const activations = Array.from({ length }, (_, t) => (t === strongest ? max : 0));
  return { kind: 'random', rank: row, row, start: 128, ids: activations.map((_, t) => t), activations, maxActivation: max };
}

test('a window has the strongest token in its middle, as far as the fragment allows', () => {
  const at = (strongest: number, length = 64): readonly [number, number, number] => {
    const window = centredWindow(fragment(0, strongest, 2, length), 32);
    assert.equal(window.ids.length, window.activations.length);
    assert.equal(window.start, 128 + window.ids[0]);
    return [window.ids[0], window.ids.length, window.activations.indexOf(2)];
  };
  assert.deepEqual(at(40), [24, 32, 16]);
  assert.deepEqual(at(3), [0, 32, 3]);
  assert.deepEqual(at(63), [32, 32, 31]);
  assert.deepEqual(at(7, 20), [0, 20, 7], 'a short fragment as it is');
  const twice = fragment(0, 20, 2);
  assert.equal(centredWindow({ ...twice, activations: twice.activations.map((a, t) => (t === 40 ? 2 : a)) }, 32).ids[0], 4, 'the first of equals');
});

test('windows are drawn evenly over bands of strength, go round them, and repeat with the seed', () => {
  const fragments = Array.from({ length: 100 }, (_, i) => fragment(i, 30, 1 + i));
  const draw = (seed: number, from = fragments): number[] => activeWindows(from, 32, 10, 5, new Rng(seed)).map(({ row }) => row);
  const rows = draw(1);
  assert.equal(rows.length, 50);
  assert.equal(new Set(rows).size, 50);
  for (let round = 0; round < 5; round++) assert.deepEqual(rows.slice(round * 10, round * 10 + 10).map((row) => Math.floor(row / 10)), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.deepEqual(draw(1), rows);
  assert.deepEqual(draw(1, fragments.toReversed()), rows, 'the order they are given in does not matter');
  assert.notDeepEqual(draw(2), rows);
});

test('where there are few fragments all are used', () => {
  for (const count of [0, 1, 7, 33]) {
    const rows = activeWindows(Array.from({ length: count }, (_, i) => fragment(i, 30, 1 + i)), 32, 10, 5, new Rng(3)).map(({ row }) => row);
    assert.deepEqual(rows.toSorted((a, b) => a - b), Array.from({ length: count }, (_, i) => i));
  }
});
