import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { openNearestRows } from '../../../src/adapters/ort/nearestRows.ts';
import { LargestKept } from '../../../src/math/largestKept.ts';
import { Rng } from '../../../src/math/rng.ts';
import type { Nearest } from '../../../src/ports/NearestRows.ts';

const engine = openNearestRows(2);
after(() => engine.close());

function random(rng: Rng, n: number, width: number): Float32Array {
  return Float32Array.from({ length: n * width }, () => rng.normal());
}

/** Every cosine by its definition; those of rows of zeros are NaN. */
function cosines(a: Float32Array, b: Float32Array, width: number): number[][] {
  const dot = (x: Float32Array, y: Float32Array): number => x.reduce((sum, value, q) => sum + value * y[q], 0);
  const rows = (all: Float32Array): Float32Array[] => Array.from({ length: all.length / width }, (_, i) => all.subarray(i * width, (i + 1) * width));
  const right = rows(b).map((row) => ({ row, norm: Math.sqrt(dot(row, row)) }));
  return rows(a).map((x) => right.map(({ row, norm }) => dot(x, row) / (Math.sqrt(dot(x, x)) * norm)));
}

/** Compares with sorting everything: the cosines at each rank, and that each index has the cosine it is said to have; ties by index. */
function check(found: Nearest, truth: readonly (readonly number[])[], k: number): void {
  const most = truth[0].length;
  assert.equal(found.k, Math.min(k, most));
  for (const [i, row] of truth.entries()) {
    const sorted = row.map((cosine, index) => ({ cosine, index })).filter(({ cosine }) => !Number.isNaN(cosine)).sort((x, y) => y.cosine - x.cosine || x.index - y.index);
    for (let rank = 0; rank < found.k; rank++) {
      const [index, cosine] = [found.indices[i * found.k + rank], found.cosines[i * found.k + rank]];
      if (rank >= sorted.length) {
        assert.deepEqual([index, cosine], [-1, 0]);
        continue;
      }
      assert.ok(Math.abs(cosine - sorted[rank].cosine) < 1e-6, `row ${i}, rank ${rank}: ${cosine}, expected ${sorted[rank].cosine}`);
      assert.ok(Math.abs(row[index] - cosine) < 1e-6, `row ${i}, rank ${rank}: ${index} has cosine ${row[index]}`);
      if (rank === 0) continue;
      const before = found.cosines[i * found.k + rank - 1];
      assert.ok(before > cosine || (before === cosine && found.indices[i * found.k + rank - 1] < index), `row ${i}: rank ${rank} is in order`);
    }
  }
}

for (const [n, m, width, k] of [[1, 1, 1, 1], [40, 7, 5, 10], [700, 1100, 24, 10], [4200, 300, 9, 3]] as const) {
  test(`equals sorting all cosines, ${n} × ${m}, width ${width}, k = ${k}`, async () => {
    const rng = new Rng(n + m);
    const [a, b] = [random(rng, n, width), random(rng, m, width)];
    let done = 0;
    const { ofA, ofB } = await engine.nearest(a, b, width, k, (some) => (done = some));
    const truth = cosines(a, b, width);
    check(ofA, truth, k);
    check(ofB, truth[0].map((_, j) => truth.map((row) => row[j])), k);
    assert.equal(done, n * m);
    const exact = truth.map((row) => row.indexOf(Math.max(...row)));
    assert.ok(exact.filter((index, i) => ofA.indices[i * ofA.k] === index).length >= n - 1, 'the nearest one is the same one');
  });
}

test('a direction in both finds itself with cosine 1, at whatever length; zeros find nothing and are found by nobody', async () => {
  const rng = new Rng(3);
  const width = 16;
  const [a, b] = [random(rng, 600, width), random(rng, 500, width)];
  for (let q = 0; q < width; q++) {
    b[37 * width + q] = 3.7 * a[5 * width + q];
    b[38 * width + q] = -a[6 * width + q];
    a[7 * width + q] = 0;
    b[44 * width + q] = 0;
  }
  const { ofA, ofB } = await engine.nearest(a, b, width, 500, undefined);
  assert.deepEqual([ofA.indices[5 * 500], ofA.cosines[5 * 500]], [37, 1]);
  assert.deepEqual([ofB.indices[37 * 500], ofB.cosines[37 * 500]], [5, 1]);
  // All 500 were asked for, of which one is zero: the opposite comes last.
  assert.deepEqual([ofA.indices[6 * 500 + 498], ofA.cosines[6 * 500 + 498], ofA.indices[6 * 500 + 499]], [38, -1, -1]);
  assert.ok(ofA.indices.subarray(7 * 500, 8 * 500).every((index) => index === -1));
  assert.ok(ofB.indices.subarray(44 * 500, 45 * 500).every((index) => index === -1));
  assert.ok(!ofA.indices.includes(44));
  assert.ok(!ofB.indices.includes(7));
});

test('equal cosines come by index, and the number of threads changes no bit', async () => {
  const rng = new Rng(4);
  // Few directions, each many times: exact ties everywhere. Rows of ±1 have exact products.
  const few = Array.from({ length: 6 }, () => Float32Array.from({ length: 8 }, () => (rng.int(2) === 0 ? 1 : -1)));
  const drawn = (n: number): Float32Array => Float32Array.from({ length: n }, () => rng.int(6)).reduce((all, which, i) => (all.set(few[which], i * 8), all), new Float32Array(8 * n));
  const [a, b] = [drawn(50), drawn(90)];
  const { ofA, ofB } = await engine.nearest(a, b, 8, 4);
  const truth = cosines(a, b, 8).map((row) => row.map(Math.fround));
  check(ofA, truth, 4);
  const firsts = truth.map((row) => row.map((cosine, index) => ({ cosine, index })).sort((x, y) => y.cosine - x.cosine || x.index - y.index).slice(0, 4).map(({ index }) => index));
  assert.deepEqual([...ofA.indices], firsts.flat());
  const alone = openNearestRows(1);
  try {
    const again = await alone.nearest(a, b, 8, 4);
    assert.deepEqual(again, { ofA, ofB });
    const large = [random(rng, 5000, 6), random(rng, 4500, 6)] as const;
    assert.deepEqual(await alone.nearest(...large, 6, 5), await engine.nearest(...large, 6, 5));
  } finally {
    await alone.close();
  }
});

test('what is kept does not depend on the order of offers', () => {
  const rng = new Rng(5);
  const offers = Array.from({ length: 300 }, (_, index) => ({ index, value: rng.int(20) }));
  const expected = offers.toSorted((x, y) => y.value - x.value || x.index - y.index).slice(0, 12).map(({ index }) => index);
  for (let round = 0; round < 20; round++) {
    const kept = new LargestKept(2, 12);
    for (const at of rng.permutation(300)) kept.offer(1, offers[at].index, offers[at].value);
    assert.deepEqual([...kept.indices.subarray(12)], expected);
    assert.deepEqual([...kept.indices.subarray(0, 12)], Array.from({ length: 12 }, () => -1));
    assert.equal(kept.bar[1], kept.values[23]);
  }
});
