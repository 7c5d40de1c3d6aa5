import assert from 'node:assert/strict';
import { test } from 'node:test';
import { matchRows } from '../../src/math/hungarian.ts';
import { Rng } from '../../src/math/rng.ts';

function total(values: Float32Array, m: number, columnOf: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < columnOf.length; i++) sum += values[i * m + columnOf[i]!]!;
  return sum;
}

/** Greatest sum over all ways to give rows different columns. */
function exhaustive(values: Float32Array, n: number, m: number, row = 0, taken = 0): number {
  if (row === n) return 0;
  let best = -Infinity;
  for (let j = 0; j < m; j++) if ((taken & (1 << j)) === 0) best = Math.max(best, values[row * m + j]! + exhaustive(values, n, m, row + 1, taken | (1 << j)));
  return best;
}

test('finds the greatest sum, as trying everything does', () => {
  const rng = new Rng(3);
  for (const [n, m] of [[1, 1], [1, 4], [2, 2], [4, 4], [5, 7], [6, 6], [7, 7]] as const) {
    for (let round = 0; round < 30; round++) {
      // Few distinct values in every other round, so that there are ties.
      const values = Float32Array.from({ length: n * m }, () => (round % 2 === 0 ? rng.normal() : rng.int(4) - 2));
      const columnOf = matchRows(values, n, m);
      assert.equal(new Set(columnOf).size, n, 'columns differ');
      assert.ok(columnOf.every((j) => j >= 0 && j < m));
      assert.ok(Math.abs(total(values, m, columnOf) - exhaustive(values, n, m)) < 1e-5, `${n} x ${m}`);
    }
  }
});

test('undoes a permutation', () => {
  const n = 300;
  const rng = new Rng(5);
  const order = rng.permutation(n);
  const values = Float32Array.from({ length: n * n }, () => 0.5 * rng.next());
  for (let i = 0; i < n; i++) values[i * n + order[i]!] = 0.9;
  assert.deepEqual([...matchRows(values, n, n)], [...order]);
});

test('competing rows give way: the best single pair is not always in the best matching', () => {
  // Greedy takes 10 + 0; the best is 9 + 9.
  assert.deepEqual([...matchRows(Float32Array.of(10, 9, 9, 0), 2, 2)], [1, 0]);
});
