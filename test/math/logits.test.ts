import assert from 'node:assert/strict';
import { test } from 'node:test';
import { divergence, expNonPositive, logSumExp, softmaxInto } from '../../src/math/logits.ts';
import { Rng } from '../../src/math/rng.ts';

test('the fast exponential is the exponential', () => {
  const rng = new Rng(1);
  for (let i = 0; i < 200_000; i++) {
    const x = -(rng.next() ** 4) * 700;
    assert.ok(Math.abs(expNonPositive(x) / Math.exp(x) - 1) < 3e-13, `${x}`);
  }
  assert.deepEqual([expNonPositive(0), expNonPositive(-701), expNonPositive(-Infinity), expNonPositive(Number.NaN)], [1, 0, 0, Number.NaN]);
});

test('probabilities, their total, and divergences agree with the definitions, however large the logits', () => {
  const rng = new Rng(2);
  for (const shift of [0, 3e4, -3e4]) {
    const draw = (): Float32Array => Float32Array.from({ length: 300 }, () => shift + 4 * rng.normal());
    const [a, b] = [draw(), draw()];
    const [at, size] = [100, 150];
    const naive = (x: Float32Array): number => shift + Math.log(x.subarray(at, at + size).reduce((sum, value) => sum + Math.exp(value - shift), 0));
    const [totalA, totalB] = [logSumExp(a, at, size), logSumExp(b, at, size)];
    assert.ok(Math.abs(totalA - naive(a)) < 1e-9 && Math.abs(totalB - naive(b)) < 1e-9);
    const p = new Float32Array(300);
    softmaxInto(p, a, at, size, totalA);
    let [mass, kl] = [0, 0];
    for (let i = at; i < at + size; i++) {
      const share = Math.exp(a[i]! - totalA);
      assert.ok(Math.abs(p[i]! - share) < 1e-7);
      mass += p[i]!;
      kl += share * (a[i]! - totalA - b[i]! + totalB);
    }
    assert.ok(Math.abs(mass - 1) < 1e-6);
    assert.deepEqual([p[99], p[250]], [0, 0]);
    assert.ok(Math.abs(divergence(p, a, b, at, size, totalA, totalB) - kl) < 1e-4 * Math.max(1, Math.abs(shift) * 1e-3), `${shift}`);
    assert.ok(divergence(p, a, a, at, size, totalA, totalA) === 0);
  }
});

test('logits of −∞ have no probability; a single finite one has all', () => {
  const logits = Float32Array.of(-Infinity, 0.1, -Infinity);
  const p = new Float32Array(3);
  softmaxInto(p, logits, 0, 3, logSumExp(logits, 0, 3));
  assert.deepEqual([...p], [0, 1, 0]);
});
