import assert from 'node:assert/strict';
import { test } from 'node:test';
import { activeFeatures } from '../../src/causal/activeFeatures.ts';

test('active features by context', () => {
  // Two contexts of three tokens; features 5 and 2.
  const codes = { rows: 6, nFeatures: 9, offsets: Uint32Array.of(0, 1, 1, 3, 3, 4, 5), features: Uint32Array.of(5, 2, 5, 5, 2), values: Float32Array.of(1, 2, 3, 4, 5) };
  const found = activeFeatures(codes, 3);
  assert.deepEqual([...found.keys()], [2, 5]);
  assert.deepEqual([...found.get(5)!], [[0, { positions: [0, 2], activations: [1, 3] }], [1, { positions: [1], activations: [4] }]]);
  assert.deepEqual([...found.get(2)!], [[0, { positions: [2], activations: [2] }], [1, { positions: [2], activations: [5] }]]);
});
