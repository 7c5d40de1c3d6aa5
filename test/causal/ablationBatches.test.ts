import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ablationBatches, type AblationRow } from '../../src/causal/ablationBatches.ts';
import { activeFeatures } from '../../src/causal/activeFeatures.ts';
import { Rng } from '../../src/math/rng.ts';

test('batches hold every row once, within the token limit after padding', () => {
  const rng = new Rng(1);
  for (let trial = 0; trial < 50; trial++) {
    const lengths = Array.from({ length: 1 + rng.int(8) }, () => 1 + rng.int(60));
    const rows: AblationRow[] = Array.from({ length: rng.int(60) }, (_, feature) => ({ feature, context: rng.int(lengths.length) }));
    const batches = ablationBatches(rows, (context) => lengths[context], 100);
    assert.deepEqual(batches.flat().sort((a, b) => a.feature - b.feature), rows);
    for (const batch of batches) {
      const longest = Math.max(...batch.map(({ context }) => lengths[context]));
      assert.equal(lengths[batch[batch.length - 1].context], longest);
      assert.ok(batch.length === 1 || batch.length * longest <= 100);
    }
  }
});

test('active features by context', () => {
  // Two contexts of three tokens; features 5 and 2.
  const codes = { rows: 6, nFeatures: 9, offsets: Uint32Array.of(0, 1, 1, 3, 3, 4, 5), features: Uint32Array.of(5, 2, 5, 5, 2), values: Float32Array.of(1, 2, 3, 4, 5) };
  const found = activeFeatures(codes, 3);
  assert.deepEqual([...found.keys()], [2, 5]);
  assert.deepEqual([...found.get(5)!], [[0, { positions: [0, 2], activations: [1, 3] }], [1, { positions: [1], activations: [4] }]]);
  assert.deepEqual([...found.get(2)!], [[0, { positions: [2], activations: [2] }], [1, { positions: [2], activations: [5] }]]);
});
