import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proposeSources, type ActiveSource } from '../../src/causal/proposeSources.ts';
import { tiedDictionary } from '../helpers/tiedDictionary.ts';

const LASTS = new Map([[0, 9]]);

function active(index: number, position: number, c: number): ActiveSource {
  return [index, new Map([[0, { positions: [position], activations: [c] }]])];
}

test('proposes the strongest of each way a feature can act, in their order, up to the limit', () => {
  const source = tiedDictionary('0-test', 'resid_post.0', 8, 6, { seed: 1, bias: 0 });
  // The target reads exactly the direction of feature 5.
  const encoder = source.encoder.slice(5 * 8, 6 * 8);
  const target = { weights: { ...tiedDictionary('1-test', 'resid_post.1', 8, 1, { seed: 2, bias: 0 }), encoder }, index: 0 };
  const features = [active(0, 9, 3), active(1, 9, 0.1), active(2, 8, 2), active(3, 0, 2), active(4, 9, 0.2), active(5, 9, 2.9)];
  const chosen = proposeSources(features, source, target, LASTS, 3).map(([index]) => index);
  assert.deepEqual(chosen, [0, 2, 5], 'here, by attention, directly');
  assert.deepEqual(proposeSources(features, source, target, LASTS, 6), features);
  assert.deepEqual(proposeSources(features, source, target, LASTS, Infinity), features);
  assert.equal(proposeSources(features, source, target, LASTS, 5).length, 5);
});
