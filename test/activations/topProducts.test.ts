import assert from 'node:assert/strict';
import { test } from 'node:test';
import { topProducts } from '../../src/activations/topProducts.ts';
import { Rng } from '../../src/math/rng.ts';

for (const [n, m, d, k] of [[1, 1, 1, 1], [5, 7, 3, 4], [9, 64, 16, 10], [6, 3, 8, 10]] as const) {
  test(`topProducts equals sorting all products, ${n} × ${m}, D=${d}, k=${k}`, () => {
    const rng = new Rng(n * 100 + m);
    // Small integers: exact sums and many ties.
    const a = Float32Array.from({ length: n * d }, () => rng.int(5) - 2);
    const b = Float32Array.from({ length: m * d }, () => rng.int(5) - 2);
    for (const exclude of [undefined, (row: number) => row % m]) {
      if (exclude !== undefined && m === 1) continue;
      const { greatest, least } = topProducts(a, b, d, { from: 0, to: n, k, least: true, ...(exclude === undefined ? {} : { exclude }) });
      assert.equal(greatest.k, Math.min(k, exclude === undefined ? m : m - 1));
      for (let i = 0; i < n; i++) {
        const all = Array.from({ length: m }, (_, j) => {
          let s = 0;
          for (let q = 0; q < d; q++) s += a[i * d + q]! * b[j * d + q]!;
          return { j, s };
        }).filter(({ j }) => exclude === undefined || j !== exclude(i));
        for (const [found, sign] of [[greatest, -1], [least!, 1]] as const) {
          const expected = all.toSorted((x, y) => sign * (x.s - y.s) || x.j - y.j).slice(0, found.k);
          assert.deepEqual(Array.from(found.indices.subarray(i * found.k, (i + 1) * found.k)), expected.map((e) => e.j));
          assert.deepEqual(Array.from(found.values.subarray(i * found.k, (i + 1) * found.k)).map((v) => v + 0), expected.map((e) => e.s + 0));
        }
      }
    }
  });
}

test('a block of rows gives the same as the whole', () => {
  const rng = new Rng(1);
  const a = Float32Array.from({ length: 11 * 6 }, () => rng.normal());
  const whole = topProducts(a, a, 6, { from: 0, to: 11, k: 3, exclude: (i) => i }).greatest;
  const part = topProducts(a, a, 6, { from: 5, to: 8, k: 3, exclude: (i) => i }).greatest;
  assert.deepEqual(part.indices, whole.indices.slice(15, 24));
});
