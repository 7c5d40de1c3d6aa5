import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CovarianceMeter } from '../../src/baselines/covariance.ts';
import { signedPairs } from '../../src/baselines/directions.ts';
import { symmetricEigen } from '../../src/baselines/eigen.ts';
import { pcaDirections } from '../../src/baselines/pca.ts';
import { plainKernels } from '../../src/baselines/plainKernels.ts';
import { decode, encode } from '../../src/dictionary/encode.ts';
import { CallerError } from '../../src/domain/errors.ts';
import { Rng } from '../../src/math/rng.ts';
import { asDictionary } from './asDictionary.ts';

const D = 10;
const n = 200;
const rng = new Rng(3);
const vectors = Float32Array.from({ length: n * D }, (_, i) => rng.normal() * Math.exp(-(i % D) / 2) + (i % D));

async function fitted() {
  const meter = new CovarianceMeter(D);
  const origin = new Float64Array(D);
  meter.add(await plainKernels.moments(vectors, origin), origin);
  return { eigen: symmetricEigen(meter.covariance()), mean: meter.mean };
}

function squaredError(parameters: Parameters<typeof asDictionary>[0]): number {
  const weights = asDictionary(parameters, D);
  const codes = encode(weights, vectors);
  assert.ok(codes.every((c) => c >= 0));
  const back = decode(weights, codes, vectors);
  return vectors.reduce((sum, value, i) => sum + (value - back[i]!) ** 2, 0);
}

test('all components reconstruct exactly; pairs have opposite directions and never both fire', async () => {
  const { eigen, mean } = await fitted();
  const parameters = signedPairs(pcaDirections(mean, eigen));
  assert.ok(squaredError(parameters) < 1e-9 * n);
  for (let i = 0; i < D * D; i++) assert.equal(parameters.decoder[i]! + parameters.decoder[D * D + i]!, 0);
  const codes = encode(asDictionary(parameters, D), vectors);
  for (let i = 0; i < n; i++) for (let j = 0; j < D; j++) assert.equal(codes[i * 2 * D + j]! * codes[i * 2 * D + D + j]!, 0);
});

test('top-k keeps the largest of both tails: k = D is exact, k = 1 leaves the rest of each vector', async () => {
  const { eigen, mean } = await fitted();
  const directions = pcaDirections(mean, eigen);
  assert.ok(squaredError(signedPairs(directions, D)) < 1e-9 * n);
  let expected = 0;
  for (let i = 0; i < n; i++) {
    const s = Float64Array.from({ length: D }, (_, j) => {
      let dot = 0;
      for (let d = 0; d < D; d++) dot += eigen.vectors[j * D + d]! * (vectors[i * D + d]! - mean[d]!);
      return dot * dot;
    });
    expected += s.reduce((a, b) => a + b, 0) - Math.max(...s);
  }
  const found = squaredError(signedPairs(directions, 1));
  assert.ok(Math.abs(found / expected - 1) < 1e-5, `${found}, expected ${expected}`);
});

test('k beyond the number of features is refused', async () => {
  const { eigen, mean } = await fitted();
  for (const k of [0, 2 * D + 1, 1.5]) {
    assert.throws(() => signedPairs(pcaDirections(mean, eigen), k), (error) => error instanceof CallerError && error.code === 'BAD_INPUT' && error.message.includes('1 to 20'));
  }
});
