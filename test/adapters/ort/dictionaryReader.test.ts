import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openDictionaryReader } from '../../../src/adapters/ort/dictionaryReader.ts';
import { decode, encode } from '../../../src/dictionary/encode.ts';
import type { DictionaryWeights } from '../../../src/domain/dictionary.ts';
import { InvariantError } from '../../../src/domain/errors.ts';
import { Rng } from '../../../src/math/rng.ts';
import type { DictionaryReading } from '../../../src/ports/DictionaryReader.ts';

const F = 40;
const dIn = 12;
/** More than two chunks. */
const n = 2100;

interface Shape {
  readonly k?: number;
  readonly threshold?: boolean;
  readonly transcoder?: boolean;
}

function dictionary({ k, threshold = false, transcoder = false }: Shape): DictionaryWeights {
  const rng = new Rng(7);
  const draw = (length: number, scale = 1): Float32Array => Float32Array.from({ length }, () => scale * rng.normal());
  const dOut = transcoder ? 9 : dIn;
  return {
    config: {
      formatVersion: 1, name: 'd', model: 'm', hookPoint: 'resid_post.0', outputHookPoint: transcoder ? 'mlp_out.1' : null, architecture: 'untied', dIn, dOut,
      nFeatures: F, k: k ?? null, l1: null, inputScale: 2.5, outputScale: transcoder ? 0.75 : 2.5, weightsHash: 'h', run: 'r',
    },
    encoder: draw(F * dIn),
    encoderBias: draw(F),
    threshold: threshold ? draw(F).map(Math.abs) : null,
    decoder: draw(F * dOut, 0.3),
    decoderBias: draw(dOut),
    skip: transcoder ? draw(dOut * dIn, 0.1) : null,
  };
}

const rng = new Rng(11);
const vectors = Float32Array.from({ length: n * dIn }, () => 3 * rng.normal());
const targets = Float32Array.from({ length: n * 9 }, () => rng.normal());

async function read(weights: DictionaryWeights, workers: number): Promise<DictionaryReading> {
  const open = await openDictionaryReader({ workers }).open(weights);
  try {
    return await open.read(vectors, weights.config.outputHookPoint === null ? undefined : targets, { reconstruction: true, codes: true });
  } finally {
    await open.close();
  }
}

function assertClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  assert.equal(actual.length, expected.length);
  for (let i = 0; i < actual.length; i++) assert.ok(Math.abs(actual[i]! - expected[i]!) <= tolerance, `element ${i}: ${actual[i]} for ${expected[i]}`);
}

for (const shape of [{}, { threshold: true }, { k: 5 }, { k: 3, threshold: true }, { transcoder: true }] satisfies Shape[]) {
  test(`reads as DictionaryWeights defines it: ${JSON.stringify(shape)}`, async () => {
    const weights = dictionary(shape);
    const { codes, reconstruction, firings, squaredError, vectors: count } = await read(weights, 2);
    const expected = encode(weights, vectors);
    const dense = new Float32Array(n * F);
    for (let row = 0; row < n; row++) for (let at = codes!.offsets[row]!; at < codes!.offsets[row + 1]!; at++) dense[row * F + codes!.features[at]!] = codes!.values[at]!;
    assert.equal(count, n);
    assertClose(dense, expected, 1e-4);
    const decoded = decode(weights, expected, vectors);
    assertClose(reconstruction!, decoded, 1e-3);
    const fired = new Float64Array(F);
    expected.forEach((c, at) => void (fired[at % F]! += c > 0 ? 1 : 0));
    assert.deepEqual(firings, fired);
    const wanted = weights.config.outputHookPoint === null ? vectors : targets;
    const error = decoded.reduce((sum, value, i) => sum + (value - wanted[i]!) ** 2, 0);
    assert.ok(Math.abs(squaredError / error - 1) < 1e-5, `${squaredError} for ${error}`);
  });
}

test('how many workers there are changes no bit, and the vectors stay as they are', async () => {
  const before = vectors.slice();
  const one = await read(dictionary({ k: 4 }), 1);
  assert.deepEqual(await read(dictionary({ k: 4 }), 3), one);
  assert.deepEqual(vectors, before);
});

test('gives nothing that was not wanted, sums of no vectors are 0, and a transcoder needs targets', async () => {
  const reader = openDictionaryReader({ workers: 1 });
  const plain = await reader.open(dictionary({}));
  const { codes, reconstruction } = await plain.read(vectors);
  assert.deepEqual([codes, reconstruction], [null, null]);
  const none = await plain.read(new Float32Array(0), undefined, { codes: true });
  assert.deepEqual([none.vectors, none.squaredError, none.codes!.rows], [0, 0, 0]);
  await assert.rejects(plain.read(vectors.subarray(1)), InvariantError);
  await assert.rejects(plain.read(vectors, targets), InvariantError);
  await plain.close();
  const transcoder = await reader.open(dictionary({ transcoder: true }));
  await assert.rejects(transcoder.read(vectors), InvariantError);
  await transcoder.close();
});
