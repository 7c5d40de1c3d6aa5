import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openKernels, sharedMemory } from '../../../src/adapters/ort/kernels/kernels.ts';
import { Layout } from '../../../src/adapters/ort/kernels/layout.ts';
import { Rng } from '../../../src/math/rng.ts';

const memory = sharedMemory(64 << 20);
const kernels = openKernels(memory);

function room() {
  const layout = new Layout();
  return {
    floats(values: ArrayLike<number>): [number, Float32Array] {
      const at = layout.take(values.length);
      const view = new Float32Array(memory.buffer, at, values.length);
      view.set(values);
      return [at, view];
    },
    integers(values: ArrayLike<number>): [number, Uint32Array] {
      const at = layout.take(values.length);
      const view = new Uint32Array(memory.buffer, at, values.length);
      view.set(values);
      return [at, view];
    },
    long(count: number): number {
      const at = layout.take(count, 8);
      new Uint8Array(memory.buffer, at, 8 * count).fill(0);
      return at;
    },
  };
}

function filled(n: number, value: number): number[] {
  return Array.from({ length: n }, () => value);
}

/** Values with many ties, some negative. */
function tied(n: number, seed: number): number[] {
  const rng = new Rng(seed);
  return Array.from({ length: n }, () => Math.round(6 * rng.normal()) / 4);
}

/** Places of the k largest positive values, of equal ones the first, in ascending order. */
function largest(values: readonly number[], k: number): number[] {
  return [...values.keys()].filter((i) => values[i] > 0).sort((a, b) => values[b] - values[a] || a - b).slice(0, k).sort((a, b) => a - b);
}

test('per row: the k largest positive values, ties to the lower index, whatever the pieces', () => {
  for (const [F, k, capacity, width] of [[301, 5, 74, 301], [301, 5, 6, 64], [97, 20, 21, 13], [40, 39, 100, 7], [16, 1, 2, 16]]) {
    const { floats, integers, long } = room();
    const rows = 9;
    const h = Array.from({ length: rows }, (_, r) => tied(F, 10 * r + k));
    const lists = long(rows * capacity);
    const [lengths] = integers(filled(rows, 0));
    const [floors] = floats(filled(rows, 0));
    for (let from = 0; from < F; from += width) {
      const n = Math.min(width, F - from);
      const [piece] = floats(h.flatMap((row) => row.slice(from, from + n)));
      kernels.scanRows(piece, rows, n, from, k, capacity, lists, lengths, floors);
    }
    const [starts] = integers(Array.from({ length: rows }, (_, r) => r * k));
    const [counts, countView] = integers(filled(rows, 0));
    const [indices, indexView] = integers(filled(rows * k, 0));
    const [values, valueView] = floats(filled(rows * k, 0));
    kernels.finishRows(rows, k, capacity, lists, lengths, starts, counts, indices, values, 0);
    for (let r = 0; r < rows; r++) {
      const expected = largest(h[r], k);
      assert.deepEqual([...indexView.subarray(r * k, r * k + countView[r])], expected);
      assert.deepEqual([...valueView.subarray(r * k, r * k + countView[r])], expected.map((i) => h[r][i]));
    }
  }
});

test('per batch: the k largest of all rows, ties to the lower row and then feature, in any order of pieces', () => {
  for (const [F, k, capacity] of [[61, 40, 200], [61, 40, 41], [33, 1, 2], [20, 150, 151]]) {
    const { floats, integers, long } = room();
    const rows = 8;
    const h = Array.from({ length: rows }, (_, r) => tied(F, 100 + r));
    const list = long(capacity);
    const [length, lengthView] = integers([0]);
    const [floor] = floats([0]);
    for (const [r0, n, from, width] of [[4, 4, 30, F - 30], [0, 4, 30, F - 30], [4, 4, 0, 30], [0, 4, 0, 30]].map(([r, m, f, w]) => [r, m, Math.min(f, F), Math.min(w, F)])) {
      if (width <= 0) continue;
      const [piece] = floats(h.slice(r0, r0 + n).flatMap((row) => row.slice(from, from + width)));
      kernels.scanBatch(piece, n, Math.min(width, F - from), r0, from, F, k, capacity, list, length, floor);
    }
    const n = kernels.best(list, lengthView[0], k);
    const [starts, startView] = integers(filled(rows, 0));
    const [counts, countView] = integers(filled(rows, 0));
    const [indices, indexView] = integers(filled(k, 0));
    const [values] = floats(filled(k, 0));
    kernels.finishBatch(list, n, long(capacity), rows, F, starts, counts, indices, values);
    const expected = largest(h.flat(), k);
    assert.equal(n, expected.length);
    const found = Array.from({ length: rows }, (_, r) => [...indexView.subarray(startView[r], startView[r] + countView[r])].map((j) => r * F + j)).flat();
    assert.deepEqual(found, expected);
  }
});

test('all positive values of a row up to its room, counted beyond it', () => {
  const { floats, integers } = room();
  const h = [tied(37, 1), tied(37, 2)];
  const [piece] = floats(h.flat());
  const [starts] = integers([0, 10]);
  const [counts, countView] = integers([0, 0]);
  const [indices, indexView] = integers(filled(20, 0));
  const [values] = floats(filled(20, 0));
  kernels.scanPositive(piece, 2, 37, 0, 10, starts, counts, indices, values);
  for (const r of [0, 1]) {
    const positive = [...h[r].keys()].filter((j) => h[r][j] > 0);
    assert.equal(countView[r], positive.length);
    assert.deepEqual([...indexView.subarray(10 * r, 10 * r + 10)], positive.slice(0, 10));
  }
});

test('sorting', () => {
  for (const n of [0, 1, 2, 25, 1000]) {
    const { long } = room();
    const at = long(n);
    const view = new BigUint64Array(memory.buffer, at, n);
    const rng = new Rng(n);
    for (let i = 0; i < n; i++) view[i] = BigInt(Math.floor(rng.next() * (n < 500 ? 2 ** 52 : 50)));
    const expected = [...view].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    kernels.sortAscending(at, n);
    assert.deepEqual([...view], expected);
  }
});

const WIDTHS = [1, 3, 4, 7, 8, 16, 19, 37];

test('reconstruction and slopes of a row’s entries, at every width', () => {
  for (const n of WIDTHS) {
    const { floats, integers, long } = room();
    const rng = new Rng(n);
    const draw = (count: number): number[] => Array.from({ length: count }, () => rng.normal());
    const [F, rows] = [11, 3];
    const [w, bias, target, codes] = [draw(F * n), draw(n), draw(rows * n), draw(rows * F)];
    const active = [[], [2], [0, 1, 3, 4, 7, 9]];
    const [W] = floats(w);
    const [starts] = integers([0, F, 2 * F]);
    const [counts] = integers(active.map((list) => list.length));
    const [indices, indexView] = integers(filled(rows * F, 0));
    active.forEach((list, r) => indexView.set(list, r * F));
    const [coefficients] = floats(codes);
    const [e, eView] = floats(filled(rows * n, 0));
    const squares = long(rows);
    kernels.decodeRows(rows, n, starts, counts, indices, coefficients, W, floats(bias)[0], floats(target)[0], e, squares);
    const [scales, scaleView] = floats(draw(F));
    const [slopes, slopeView] = floats(filled(rows * F, 0));
    kernels.dotRows(rows, n, starts, counts, indices, W, scales, e, 0.5, 0.25, slopes);
    active.forEach((list, r) => {
      const expected = bias.map((b, d) => b - target[r * n + d] + list.reduce((sum, j, i) => sum + codes[r * F + i] * w[j * n + d], 0));
      expected.forEach((value, d) => assert.ok(Math.abs(eView[r * n + d] - value) < 1e-5, `width ${n}`));
      assert.ok(Math.abs(new Float64Array(memory.buffer, squares, rows)[r] - expected.reduce((sum, value) => sum + value * value, 0)) < 1e-4);
      list.forEach((j, i) => {
        const slope = expected.reduce((sum, value, d) => sum + value * w[j * n + d], 0) * 0.5 * scaleView[j] + 0.25;
        assert.ok(Math.abs(slopeView[r * F + i] - slope) < 1e-4, `width ${n}, ${slopeView[r * F + i]} against ${slope}`);
      });
    });
  }
});

test('entries sorted by feature, and sums over them', () => {
  const { floats, integers } = room();
  const active = [[0, 2, 5], [], [2], [0, 1, 2, 3, 4, 5]];
  const F = 7;
  const [starts] = integers(active.map((_, r) => r * F));
  const [counts] = integers(active.map((list) => list.length));
  const [indices, indexView] = integers(filled(4 * F, 0));
  active.forEach((list, r) => indexView.set(list, r * F));
  const [values] = floats(Array.from({ length: 4 * F }, (_, i) => i));
  const [slopes] = floats(Array.from({ length: 4 * F }, (_, i) => -i));
  const [totals, totalView] = integers(filled(F, 0));
  for (const [from, to] of [[0, 3], [3, 7]]) kernels.countFeatures(4, starts, counts, indices, from, to, totals);
  assert.deepEqual([...totalView], [2, 1, 3, 1, 1, 2, 0]);
  const places = [0, 2, 3, 6, 7, 8, 10, 10];
  const [offsets] = integers(places);
  const [cursors] = integers(places.slice(0, F));
  const [rows, rowView] = integers(filled(10, 0));
  const [codes, codeView] = floats(filled(10, 0));
  const [rises, riseView] = floats(filled(10, 0));
  for (const [from, to] of [[3, 7], [0, 3]]) kernels.fillFeatures(4, starts, counts, indices, values, slopes, from, to, 2, cursors, rows, codes, rises);
  assert.deepEqual([...rowView], [0, 3, 3, 0, 2, 3, 3, 3, 0, 3]);
  assert.deepEqual([...codeView], [0, 42, 44, 2, 28, 46, 48, 50, 4, 52]);
  assert.deepEqual([...riseView], [-0, -21, -22, -1, -14, -23, -24, -25, -2, -26]);
  const [matrix] = floats([1, 10, 2, 20, 3, 30, 4, 40]);
  const [out, outView] = floats(filled(2 * F, 1));
  kernels.gatherFeatures(0, F, 2, offsets, rows, codes, matrix, out, 0);
  assert.deepEqual([...outView.subarray(0, 6)], [168, 1680, 176, 1760, 2 + 84 + 184, 20 + 840 + 1840]);
  assert.deepEqual([...outView.subarray(12)], [0, 0], 'a feature without entries');
  const [sums, sumView] = floats(filled(F, 0));
  kernels.sumFeatures(0, F, offsets, codes, sums, 0);
  assert.deepEqual([...sumView], [42, 44, 76, 48, 50, 56, 0]);
});

test('Adam and unit rows, at every width; tiny moments become 0', () => {
  for (const n of WIDTHS) {
    const { floats } = room();
    const rng = new Rng(n);
    const draw = (count: number): number[] => Array.from({ length: count }, () => rng.normal());
    const rows = 3;
    const [p, g, m, v] = [draw(rows * n), draw(rows * n), draw(rows * n), draw(rows * n).map(Math.abs)];
    const settings = [0.5, 0.9, 1 - 0.9, 0.999, 1 - 0.999, 1e-8, 1e-2, 0.3] as const;
    const expected = p.map((value, i) => {
      const gradient = g[i] * 0.5;
      const [nextM, nextV] = [0.9 * m[i] + 0.1 * gradient, 0.999 * v[i] + 0.001 * gradient * gradient];
      return value - (1e-2 * nextM) / (Math.sqrt(nextV) / 0.3 + 1e-8);
    });
    const [P, found] = floats(p);
    kernels.adam(rows * n, P, floats(g)[0], floats(m)[0], floats(v)[0], ...settings);
    expected.forEach((value, i) => assert.ok(Math.abs(found[i] - value) < 1e-5, `width ${n}: ${found[i]} against ${value}`));
    const [U, units] = floats(p);
    kernels.adamUnitRows(rows, n, U, floats(g)[0], floats(m)[0], floats(v)[0], ...settings, 1e-8);
    for (let r = 0; r < rows; r++) {
      const norm = Math.hypot(...expected.slice(r * n, (r + 1) * n));
      for (let d = 0; d < n; d++) assert.ok(Math.abs(units[r * n + d] - expected[r * n + d] / norm) < 1e-5);
    }
  }
  const { floats } = room();
  const [M, m] = floats(filled(5, 1e-30));
  const [V, v] = floats(filled(5, 1e-30));
  const [P, p] = floats(filled(5, 1));
  kernels.adam(5, P, floats(filled(5, 0))[0], M, V, 1, 0.9, 0.1, 0.999, 0.001, 1e-8, 1e-3, 1);
  assert.deepEqual([...m, ...v, ...p], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1]);
});

test('gradients lose what lies along unit rows, and go through a norm', () => {
  for (const n of WIDTHS) {
    const { floats } = room();
    const rng = new Rng(n);
    const draw = (count: number): number[] => Array.from({ length: count }, () => rng.normal());
    const m = [...draw(n), ...filled(n, 0)];
    const g = [...draw(n), ...draw(n)];
    const [M] = floats(m);
    const [W, w] = floats(filled(2 * n, 0));
    const [inverses, inverseView] = floats(filled(2, 0));
    kernels.normaliseRows(2, n, M, 1e-8, W, inverses);
    const norm = Math.hypot(...m);
    assert.ok(Math.abs(inverseView[0] * norm - 1) < 1e-5);
    const along = g.slice(0, n).reduce((sum, value, d) => sum + value * (m[d] / norm), 0);
    const [G, found] = floats(g);
    kernels.removeParallel(1, n, W, G);
    for (let d = 0; d < n; d++) assert.ok(Math.abs(found[d] - (g[d] - (along * m[d]) / norm)) < 1e-5);
    const [H, through] = floats(g);
    kernels.throughNorm(2, n, M, inverses, 1e-8, H);
    for (let d = 0; d < n; d++) assert.ok(Math.abs(through[d] - (g[d] - (along * m[d]) / norm) / norm) < 1e-4 * inverseView[0]);
    for (let d = 0; d < n; d++) assert.ok(Math.abs(through[n + d] / (g[n + d] * 1e8) - 1) < 1e-4, 'at the floor nothing is projected out');
    assert.ok(w.subarray(n).every((value) => value === 0));
  }
});

test('the dense way: slopes where codes are 0 vanish, and column sums', () => {
  const { floats } = room();
  const [rows, n] = [3, 6];
  const codes = [1, 0, 2, 0, 3, 0, 0, 0, 1, 1, 0, 0, 4, 0, 0, 0, 0, 5];
  const [slopes, slopeView] = floats(codes.map((_, i) => i + 1));
  const zeros = (): [number, Float32Array] => floats(filled(n, 0));
  const [[fired, firedView], [sums, sumView], [codeSums, codeView]] = [zeros(), zeros(), zeros()];
  kernels.maskSlopes(floats(codes)[0], slopes, rows, n, fired, sums, codeSums);
  assert.deepEqual([...firedView], [2, 0, 2, 1, 1, 1]);
  assert.deepEqual([...slopeView], codes.map((code, i) => (code > 0 ? i + 1 : 0)));
  assert.deepEqual([...sumView], [14, 0, 12, 10, 5, 18]);
  assert.deepEqual([...codeView], [5, 0, 3, 1, 3, 5]);
});
