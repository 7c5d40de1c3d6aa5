import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Rng } from '../../src/math/rng.ts';
import { shortFloat } from '../../src/math/shortFloat.ts';

/** By trying: the first number of digits that gives the same float32. */
function byPrinting(x: number): number {
  for (let digits = 1; digits <= 9; digits++) {
    const short = Number(x.toPrecision(digits));
    if (Math.fround(short) === x) return short;
  }
  return x;
}

test('a float32 is printed by as few digits as give it back', () => {
  const rng = new Rng(3);
  for (let i = 0; i < 100_000; i++) {
    const x = Math.fround((rng.next() - 0.5) * 10 ** (rng.int(17) - 7));
    const short = shortFloat(x);
    assert.equal(Math.fround(short), x);
    assert.equal(String(short).length, String(byPrinting(x)).length, `${x} → ${short}, by printing ${byPrinting(x)}`);
  }
  assert.deepEqual([0.1, 2.5, -1 / 3, 16_777_216, 100, 0.00001, 123_456_789].map((x) => shortFloat(Math.fround(x))), [0.1, 2.5, -0.33333334, 16_777_216, 100, 0.00001, 123_456_790]);
});

test('what is no float32 of common size stays as it is', () => {
  for (const x of [0, -0, NaN, Infinity, -Infinity, 1e-30, 1e30, Math.PI, 0.1]) assert.ok(Object.is(shortFloat(x), x) || Math.fround(x) !== x, String(x));
  assert.equal(shortFloat(Math.PI), Math.PI);
});
