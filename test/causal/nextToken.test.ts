import assert from 'node:assert/strict';
import { test } from 'node:test';
import { klDivergence, logSoftmax } from '../../src/causal/divergence.ts';
import { NextToken } from '../../src/causal/nextToken.ts';
import { Rng } from '../../src/math/rng.ts';

test('log-probabilities, differences and divergences equal those of a softmax in float64, whatever is asked first', () => {
  const rng = new Rng(1);
  for (let trial = 0; trial < 60; trial++) {
    const n = 1 + rng.int(40);
    const [p, q] = [0, 1].map(() => Float32Array.from({ length: 3 * n }, () => 6 * rng.normal()));
    const [at, other] = [rng.int(2 * n), rng.int(2 * n)];
    const [logP, logQ] = [logSoftmax(p, at, n), logSoftmax(q, other, n)];
    const [one, two] = [new NextToken(p, at, n), new NextToken(q, other, n)];
    if (trial % 2 === 0) assert.ok(Math.abs(one.logProb(n - 1) - logP[n - 1]) < 1e-12);
    const expected = klDivergence(logP, logQ);
    assert.ok(Math.abs(one.klFrom(two) - expected) < 1e-12 * Math.max(1, expected));
    assert.equal(one.klFrom(new NextToken(p.slice(), at, n)), 0);
    one.logProbs().forEach((value, i) => assert.ok(Math.abs(value - logP[i]) < 1e-12));
    assert.equal(one.difference(0, n - 1), p[at] - p[at + n - 1]);
    assert.ok(one.finite);
  }
});

test('stable for huge logits; what is not finite is said', () => {
  const of = (...logits: number[]): NextToken => new NextToken(Float32Array.from(logits), 0, logits.length);
  assert.equal(of(1e6, 0, -1e6).klFrom(of(0, 1e6, -1e6)), 1e6);
  assert.equal(of(3, 1, 2).klFrom(of(259, 257, 258)), 0);
  for (const odd of [NaN, Infinity, -Infinity]) assert.equal(of(0, odd, 1).finite, false);
});
