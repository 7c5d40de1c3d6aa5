import assert from 'node:assert/strict';
import { test } from 'node:test';
import { klDivergence, logSoftmax } from '../../src/causal/divergence.ts';
import { Rng } from '../../src/math/rng.ts';

function naive(p: number[], q: number[]): number {
  const [zp, zq] = [p, q].map((logits) => logits.reduce((s, v) => s + Math.exp(v), 0));
  return p.reduce((sum, v, i) => sum + (Math.exp(v) / zp) * Math.log(Math.exp(v) / zp / (Math.exp(q[i]) / zq)), 0);
}

test('KL equals the naive formula in double precision', () => {
  const rng = new Rng(1);
  for (let trial = 0; trial < 50; trial++) {
    const n = 1 + rng.int(40);
    const [p, q] = [0, 1].map(() => Float32Array.from({ length: 2 * n }, () => 4 * rng.normal()));
    for (const at of [0, n]) {
      const kl = klDivergence(logSoftmax(p, at, n), logSoftmax(q, at, n));
      const expected = naive([...p.subarray(at, at + n)], [...q.subarray(at, at + n)]);
      assert.ok(Math.abs(kl - expected) < 1e-12 * Math.max(1, expected), `${kl} ${expected}`);
    }
  }
});

test('stable for huge logits, zero for equal or shifted ones, never negative', () => {
  const p = Float32Array.of(1e6, 0, -1e6);
  const q = Float32Array.of(0, 1e6, -1e6);
  assert.equal(klDivergence(logSoftmax(p, 0, 3), logSoftmax(q, 0, 3)), 1e6);
  assert.equal(klDivergence(logSoftmax(p, 0, 3), logSoftmax(p, 0, 3)), 0);
  const rng = new Rng(2);
  const base = Float32Array.from({ length: 64 }, () => rng.int(1000) / 8);
  const shifted = base.map((v) => v + 256);
  assert.equal(klDivergence(logSoftmax(base, 0, 64), logSoftmax(shifted, 0, 64)), 0);
  for (let trial = 0; trial < 200; trial++) {
    const near = base.map((v) => v + 1e-6 * rng.normal());
    assert.ok(klDivergence(logSoftmax(base, 0, 64), logSoftmax(near, 0, 64)) >= 0);
  }
});
