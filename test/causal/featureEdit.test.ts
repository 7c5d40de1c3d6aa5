import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meanEffect, relativeDrop } from '../../src/causal/effect.ts';
import { addFeatureEdit, patchedActivation, preActivation, readFeature, vectorNorms } from '../../src/causal/featureEdit.ts';
import { encode } from '../../src/dictionary/encode.ts';
import type { DictionaryWeights } from '../../src/domain/dictionary.ts';
import { Rng } from '../../src/math/rng.ts';
import { randomDictionary } from '../helpers/randomDictionary.ts';

const D = 24;
const F = 40;

function tied(seed: number, inputScale: number): DictionaryWeights {
  const rng = new Rng(seed);
  const rows = new Float32Array(F * D);
  for (let j = 0; j < F; j++) {
    const row = Float64Array.from({ length: D }, () => rng.normal());
    const norm = Math.hypot(...row);
    row.forEach((v, q) => (rows[j * D + q] = v / norm));
  }
  return {
    config: {
      formatVersion: 1, name: '0-test', model: 'm', hookPoint: 'resid_post.0', outputHookPoint: null, architecture: 'tied', dIn: D, dOut: D, nFeatures: F,
      k: null, l1: null, inputScale, outputScale: inputScale, weightsHash: '', run: '',
    },
    encoder: rows, encoderBias: Float32Array.from({ length: F }, () => -0.3 * rng.next()), threshold: null, decoder: rows, decoderBias: new Float32Array(D), skip: null,
  };
}

test('ablating a tied unit-norm feature brings its pre-activation to zero, setting it brings it to the value, at any input scale', () => {
  for (const inputScale of [1, 7.5]) {
    const weights = tied(4, inputScale);
    const rng = new Rng(5);
    for (let trial = 0; trial < 100; trial++) {
      const x = Float32Array.from({ length: D }, () => 3 * inputScale * rng.normal());
      const j = rng.int(F);
      const [c] = readFeature(weights, j, x, 0, 1);
      if (c === 0) continue;
      for (const [operation, expected] of [[{ kind: 'ablate' }, 0], [{ kind: 'set', value: 2.5 }, 2.5], [{ kind: 'scale', factor: 3 }, 3 * c]] as const) {
        const edited = x.slice();
        addFeatureEdit(edited, 0, weights, j, patchedActivation(operation, c, undefined) - c);
        assert.ok(Math.abs(preActivation(weights, j, edited, 0) - expected) < 1e-5 * Math.max(1, c), `${operation.kind}`);
      }
    }
  }
});

test('the edit of several features is the sum of c·f differences in model units', () => {
  const weights = tied(6, 2);
  const delta = new Float32Array(2 * D);
  addFeatureEdit(delta, D, weights, 3, 1.5);
  addFeatureEdit(delta, D, weights, 9, -1);
  for (let q = 0; q < D; q++) {
    assert.equal(delta[q], 0);
    assert.ok(Math.abs(delta[D + q] - 2 * (1.5 * weights.decoder[3 * D + q] - weights.decoder[9 * D + q])) < 1e-6);
  }
  const single = new Float32Array(D);
  addFeatureEdit(single, 0, weights, 3, -1.5);
  assert.ok(Math.abs(vectorNorms(single, D)[0] - 3) < 1e-6);
});

test('a feature read alone has the activation that encoding all gives: thresholds, k, both, ties', () => {
  const rng = new Rng(8);
  const x = Float32Array.from({ length: 30 * D }, () => rng.normal());
  for (const [threshold, k] of [[undefined, undefined], [0.5, undefined], [undefined, 3], [0.8, 5], [undefined, 1], [undefined, F + 1]]) {
    const plain = randomDictionary('0-test', 'resid_post.0', D, F, { seed: 9, inputScale: 0.7, ...(threshold === undefined ? {} : { threshold }), ...(k === undefined ? {} : { k }) });
    // Every second feature reads what the one before it does.
    const encoder = plain.encoder.slice();
    const encoderBias = plain.encoderBias.slice();
    for (let j = 1; j < F; j += 2) {
      encoder.copyWithin(j * D, (j - 1) * D, j * D);
      encoderBias[j] = encoderBias[j - 1];
    }
    const weights = { ...plain, encoder, encoderBias };
    const codes = encode(weights, x);
    let active = 0;
    for (let j = 0; j < F; j++) {
      const read = readFeature(weights, j, x, 0, 30);
      for (let t = 0; t < 30; t++) assert.equal(Math.fround(read[t]), codes[t * F + j]);
      active += read.filter((c) => c > 0).length;
    }
    assert.ok(active > 0 && active < 30 * F && active <= 30 * (k ?? Infinity));
  }
});

test("a transcoder's edit is made of its decoder rows, in the units of its output", () => {
  const weights = randomDictionary('0-test', 'mlp_in.0', D, F, { seed: 10, inputScale: 2, outputHookPoint: 'mlp_out.0', outputScale: 3 });
  const delta = new Float32Array(D);
  addFeatureEdit(delta, 0, weights, 7, -1.5);
  for (let q = 0; q < D; q++) assert.ok(Math.abs(delta[q] + 4.5 * weights.decoder[7 * D + q]) < 1e-6);
});

test('an effect: mean relative drop and its standard error', () => {
  assert.ok(Math.abs(relativeDrop(4, 1) - 0.75) < 1e-9);
  assert.equal(relativeDrop(4, 0), 1);
  assert.ok(relativeDrop(2, 3) < 0);
  const { effect, standardError, n } = meanEffect([1, 0, 0.5, 0.5]);
  assert.deepEqual([effect, n], [0.5, 4]);
  assert.ok(Math.abs(standardError - Math.sqrt(0.5 / 3 / 4)) < 1e-12);
});
