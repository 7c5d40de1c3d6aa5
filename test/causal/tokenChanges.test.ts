import assert from 'node:assert/strict';
import { test } from 'node:test';
import { logSoftmax } from '../../src/causal/divergence.ts';
import { greatest, rankOf, tokenChanges } from '../../src/causal/tokenChanges.ts';
import { Rng } from '../../src/math/rng.ts';

test('greatest and ranks equal a full sort, with ties', () => {
  const rng = new Rng(3);
  for (let trial = 0; trial < 100; trial++) {
    const values = Float64Array.from({ length: 1 + rng.int(50) }, () => rng.int(9));
    const k = 1 + rng.int(12);
    const order = Array.from(values.keys()).sort((a, b) => values[b] - values[a] || a - b);
    assert.deepEqual(greatest(values, k), order.slice(0, k));
    for (const i of values.keys()) assert.equal(rankOf(values, i), order.findIndex((j) => values[j] === values[i]));
  }
});

test('changes: the likely tokens of both sides, most moved first', () => {
  const base = logSoftmax(Float32Array.of(5, 4, 0, 0, -20), 0, 5);
  const patched = logSoftmax(Float32Array.of(0, 4, 6, 0, 2), 0, 5);
  const changes = tokenChanges(base, patched, 2);
  assert.deepEqual(changes.map((c) => c.id), [2, 0]);
  assert.deepEqual(changes.map((c) => [c.baseRank, c.patchedRank]), [[2, 0], [0, 3]]);
  assert.equal(changes[0].patchedLogProb, patched[2]);
  assert.equal(tokenChanges(base, base, 3).length, 3);
});
