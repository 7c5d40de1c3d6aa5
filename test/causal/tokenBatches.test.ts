import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tokenBatches } from '../../src/causal/tokenBatches.ts';
import { Rng } from '../../src/math/rng.ts';

test('batches hold every row once and in order, within the limits after padding, and one key each', () => {
  const rng = new Rng(1);
  for (let trial = 0; trial < 50; trial++) {
    const rows = Array.from({ length: rng.int(60) }, (_, i) => ({ i, length: 1 + rng.int(130), key: String(rng.int(2)) }));
    const batches = tokenBatches(rows, ({ length }) => length, { tokens: 100, rows: 7 }, ({ key }) => key);
    assert.deepEqual(batches.flat(), rows);
    for (const [b, batch] of batches.entries()) {
      const longest = Math.max(...batch.map(({ length }) => length));
      assert.ok(batch.length === 1 || (batch.length <= 7 && batch.length * longest <= 100));
      assert.equal(new Set(batch.map(({ key }) => key)).size, 1);
      // No batch could have taken the next one's first row.
      const next = batches[b + 1]?.[0];
      assert.ok(next === undefined || next.key !== batch[0].key || batch.length === 7 || (batch.length + 1) * Math.max(longest, next.length) > 100);
    }
  }
});
