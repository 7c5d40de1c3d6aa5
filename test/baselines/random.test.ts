import assert from 'node:assert/strict';
import { test } from 'node:test';
import { neuronParameters } from '../../src/baselines/neuron.ts';
import { randomParameters } from '../../src/baselines/random.ts';
import { decode, encode } from '../../src/dictionary/encode.ts';
import { Rng } from '../../src/math/rng.ts';
import { asDictionary } from './asDictionary.ts';

const D = 12;
const rng = new Rng(8);
const vectors = Float32Array.from({ length: 50 * D }, () => rng.normal());

test('neuron basis: relu of every dimension; with k = D of both signs exact', () => {
  const plain = asDictionary(neuronParameters(D, null), D);
  const codes = encode(plain, vectors);
  assert.deepEqual(codes, vectors.map((value) => Math.max(0, value)));
  assert.deepEqual(decode(plain, codes), codes);
  const both = asDictionary(neuronParameters(D, D), D);
  assert.deepEqual(decode(both, encode(both, vectors)), vectors);
});

test('random directions: unit rows, the same from the same seed, no direction preferred; read and written along the same', () => {
  const F = 4000;
  const { encoder, decoder, encoderBias } = randomParameters(D, F, 1, null);
  assert.deepEqual(randomParameters(D, F, 1, null).encoder, encoder);
  assert.notDeepEqual(randomParameters(D, F, 2, null).encoder, encoder);
  assert.deepEqual(decoder, encoder);
  assert.ok(encoderBias.every((value) => value === 0));
  for (let j = 0; j < F; j++) assert.ok(Math.abs(Math.hypot(...encoder.subarray(j * D, (j + 1) * D)) - 1) < 1e-6);
  // Uniform on the sphere: second moment I/D, with a standard error of about √(2/F)/D.
  for (let a = 0; a < D; a++) {
    for (let b = 0; b < D; b++) {
      let moment = 0;
      for (let j = 0; j < F; j++) moment += (encoder[j * D + a]! * encoder[j * D + b]!) / F;
      assert.ok(Math.abs(moment - (a === b ? 1 / D : 0)) < (5 * Math.sqrt(2 / F)) / D, `moment (${a}, ${b}) ${moment}`);
    }
  }
  const topK = randomParameters(D, 20, 1, 3);
  assert.equal(topK.encoderBias.length, 40);
  assert.equal(topK.k, 3);
});
