import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addSums, quality } from '../../src/dictionary/quality.ts';
import { decode, encode } from '../../src/dictionary/encode.ts';
import type { DictionaryWeights } from '../../src/domain/dictionary.ts';
import { Rng } from '../../src/math/rng.ts';
import { VarianceMeter } from '../../src/math/varianceMeter.ts';

test('variance by one pass is variance by two, with a mean far from zero', () => {
  const D = 3;
  const rng = new Rng(1);
  const x = Float32Array.from({ length: 5000 * D }, (_, i) => rng.normal() + [0, 1e4, -50][i % D]!);
  const meter = new VarianceMeter(D);
  meter.add(x.subarray(0, 300));
  meter.add(x.subarray(300, 300));
  meter.add(x.subarray(300));
  const mean = new Float64Array(D);
  for (let i = 0; i < x.length; i++) mean[i % D]! += x[i]! / 5000;
  let expected = 0;
  for (let i = 0; i < x.length; i++) expected += (x[i]! - mean[i % D]!) ** 2;
  assert.equal(meter.count, 5000);
  assert.ok(Math.abs(meter.sumOfSquares() / expected - 1) < 1e-9);
  meter.mean().forEach((value, d) => assert.ok(Math.abs(value - mean[d]!) < 1e-6));
});

test('a dictionary that always answers the mean has fvu 1; a perfect one 0', () => {
  const sums = { vectors: 4, squaredError: 8, firings: [4, 0, 2] };
  assert.deepEqual(quality(sums, 8), { fvu: 1, l0: 1.5, aliveShare: 2 / 3, vectors: 4 });
  assert.equal(quality({ ...sums, squaredError: 0 }, 8).fvu, 0);
  const both = addSums(sums, { vectors: 2, squaredError: 1, firings: [0, 1, 0] });
  assert.deepEqual(quality(both, 9), { fvu: 1, l0: 7 / 6, aliveShare: 1, vectors: 6 });
});

test('encode divides by the input scale and decode undoes it', () => {
  const D = 4;
  // Signed unit directions: relu codes of [I; −I] reconstruct anything exactly.
  const decoder = new Float32Array(2 * D * D);
  for (let d = 0; d < D; d++) {
    decoder[d * D + d] = 1;
    decoder[(D + d) * D + d] = -1;
  }
  const weights: DictionaryWeights = {
    config: { formatVersion: 1, name: '0-x', model: 'm', hookPoint: 'embed', outputHookPoint: null, architecture: 'tied', dIn: D, dOut: D, nFeatures: 2 * D, k: null, l1: null, inputScale: 2.5, outputScale: 2.5, weightsHash: '', run: 'r' },
    encoder: decoder,
    encoderBias: new Float32Array(2 * D),
    threshold: null,
    decoder,
    decoderBias: new Float32Array(D),
    skip: null,
  };
  const x = Float32Array.of(5, -10, 0, 2.5, 1, 2, 3, 4);
  const codes = encode(weights, x);
  assert.deepEqual(codes.subarray(0, 8), Float32Array.of(2, 0, 0, 1, 0, 4, 0, 0));
  decode(weights, codes).forEach((value, i) => assert.ok(Math.abs(value - x[i]!) < 1e-6));
  assert.deepEqual(encode(weights, x, [5, 0]), Float32Array.of(4, 2, 0, Math.fround(1 / 2.5)));
});
