import assert from 'node:assert/strict';
import { test } from 'node:test';
import { basisDictionary, basisDirection } from '../../src/causal/basisDirection.ts';
import { encode } from '../../src/dictionary/encode.ts';
import { tiedDictionary } from '../helpers/tiedDictionary.ts';

test('the dimension a feature reads most, with its sign, as a dictionary of one feature', () => {
  const weights = tiedDictionary('0-x', 'resid_post.0', 3, 2, { seed: 1, bias: -1, inputScale: 4 });
  weights.encoder.set([9, 9, 9, 0.48, -0.8, 0.36]);
  assert.deepEqual([1, 2, 3].map((rank) => basisDirection(weights, 1, rank)).map(({ dimension, sign, share }) => [dimension, sign, Number(share.toFixed(6))]), [[1, -1, 0.64], [0, 1, 0.2304], [2, 1, 0.1296]]);
  for (const rank of [0, 4, 1.5]) assert.throws(() => basisDirection(weights, 1, rank), { code: 'BAD_INPUT', message: /expected 1 to 3/ });
  const basis = basisDictionary(weights, basisDirection(weights, 1));
  assert.deepEqual([...encode(basis, Float32Array.of(5, -2, 1, /**/ 5, 2, 1))], [2, 0]);
  assert.deepEqual([...basis.decoder], [0, -1, 0]);
  assert.notEqual(basis.config.weightsHash, basisDictionary(weights, basisDirection(weights, 1, 2)).config.weightsHash);
});
