import assert from 'node:assert/strict';
import { test } from 'node:test';
import { activeMarks, marksToDraw, randomMarks } from '../../src/interp/fuzzMarks.ts';
import { Rng } from '../../src/math/rng.ts';

test('tokens from 0.3 of the max on are marked', () => {
  assert.deepEqual(activeMarks({ row: 0, start: 0, ids: [1, 2, 3, 4, 5], activations: [0, 0.29, 0.3, 1, 0.5] }), [false, false, true, true, true]);
});

test('silent windows get the mean number of marks, rounded up, at random places', () => {
  assert.equal(marksToDraw([[true, false], [true, true], [true, false]]), 2);
  assert.equal(marksToDraw([[true, false], [false, true]]), 1);
  const counts = new Float64Array(32);
  for (let i = 0; i < 3200; i++) {
    const marks = randomMarks(32, 3, Rng.derive(1, i));
    assert.equal(marks.filter(Boolean).length, 3);
    marks.forEach((mark, t) => (counts[t] += mark ? 1 : 0));
  }
  // 300 each on average, standard deviation about 16.5.
  for (const count of counts) assert.ok(Math.abs(count - 300) < 83, `${[...counts]}`);
  assert.deepEqual(randomMarks(2, 9, new Rng(1)), [true, true]);
});
