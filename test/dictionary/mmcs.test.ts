import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { openRowProducts } from '../../src/adapters/ort/rowProducts.ts';
import { compareDirections, directionsOf } from '../../src/dictionary/mmcs.ts';
import type { Directions } from '../../src/dictionary/mmcs.ts';
import { normaliseRows } from '../../src/math/normaliseRows.ts';
import { Rng } from '../../src/math/rng.ts';

const engine = openRowProducts(1);
after(() => engine.close());

/** a·bᵀ by its definition. */
async function slowProducts(a: Float32Array, b: Float32Array, width: number): Promise<Float32Array> {
  const [n, m] = [a.length / width, b.length / width];
  const out = new Float32Array(n * m);
  for (let i = 0; i < n; i++) for (let j = 0; j < m; j++) for (let d = 0; d < width; d++) out[i * m + j]! += a[i * width + d]! * b[j * width + d]!;
  return out;
}

function directions(n: number, width: number, seed: number): Directions {
  const rng = new Rng(seed);
  return { rows: normaliseRows(Float32Array.from({ length: n * width }, () => rng.normal()), width, 1e-8), width };
}

test('a set compared with itself in another order is the same set', async () => {
  const a = directions(50, 8, 1);
  const order = new Rng(2).permutation(50);
  const b = { rows: a.rows.map((_, at) => a.rows[order[Math.floor(at / 8)]! * 8 + (at % 8)]!), width: 8 };
  const { aToB, bToA, matching } = await compareDirections(a, b, slowProducts);
  for (const { mmcs, shareAbove } of [aToB, bToA]) {
    assert.ok(Math.abs(mmcs - 1) < 1e-6);
    assert.equal(shareAbove, 1);
  }
  assert.ok(Math.abs(matching!.mean - 1) < 1e-6);
  assert.deepEqual([matching!.pairs, matching!.shareAbove], [50, 1]);
});

test('mmcs is the mean of largest cosines, one way and the other, without absolute values', async () => {
  // a: east, north. b: east, north-east, and west.
  const r = Math.SQRT1_2;
  const a = { rows: Float32Array.of(1, 0, 0, 1), width: 2 };
  const b = { rows: Float32Array.of(1, 0, r, r, -1, 0), width: 2 };
  const { aToB, bToA, matching } = await compareDirections(a, b, slowProducts);
  assert.ok(Math.abs(aToB.mmcs - (1 + r) / 2) < 1e-6);
  assert.equal(aToB.shareAbove, 0.5);
  assert.ok(Math.abs(bToA.mmcs - (1 + r + 0) / 3) < 1e-6);
  assert.ok(Math.abs(bToA.shareAbove - 1 / 3) < 1e-12);
  assert.equal(matching!.pairs, 2);
  assert.ok(Math.abs(matching!.mean - (1 + r) / 2) < 1e-6);
});

test('many copies of one direction have a high mmcs but match only once', async () => {
  const one = directions(1, 8, 3).rows;
  const copies = { rows: Float32Array.from({ length: 80 }, (_, at) => one[at % 8]!), width: 8 };
  const { aToB, matching } = await compareDirections(copies, directions(10, 8, 4), slowProducts);
  assert.ok(matching!.mean < aToB.mmcs - 0.2);
});

test('onnxruntime gives the same, over several blocks and beyond the limit of matching', async () => {
  const [a, b] = [directions(4100, 4, 5), directions(2100, 4, 6)];
  const fast = await compareDirections(a, b, (x, y, width) => engine.products(x, y, width));
  const slow = await compareDirections(a, b, slowProducts);
  assert.ok(Math.abs(fast.aToB.mmcs - slow.aToB.mmcs) < 1e-6);
  assert.ok(Math.abs(fast.bToA.mmcs - slow.bToA.mmcs) < 1e-6);
  assert.equal(fast.matching, null);
});

test('directions are the decoder rows at unit length', () => {
  const { rows, width } = directionsOf({ config: { dOut: 2 } as Parameters<typeof directionsOf>[0]['config'], decoder: Float32Array.of(3, 4, 0, 0) });
  assert.equal(width, 2);
  assert.deepEqual([...rows], [Math.fround(0.6), Math.fround(0.8), 0, 0]);
});
