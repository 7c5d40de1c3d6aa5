import assert from 'node:assert/strict';
import { test } from 'node:test';
import { densityHistogram } from '../../src/dictionary/density.ts';
import { addReconstructions, aliveShareOverTen, NO_RECONSTRUCTIONS, reconstructionQuality } from '../../src/dictionary/quality.ts';
import { addPredictions, NO_PREDICTIONS, spliceScores } from '../../src/dictionary/spliceScores.ts';

test('densities fall into quarter decades; dead features into none', () => {
  const { from, width, counts, dead } = densityHistogram([0, 1, 10, 17, 18, 1000, 0, 999], 1000);
  assert.deepEqual([from, width, counts.length, dead], [-6, 0.25, 24, 2]);
  const at = (density: number): number => counts[Math.floor((Math.log10(density) + 6) / 0.25)]!;
  assert.equal(at(1.001e-3), 1);
  assert.equal(at(0.0101), 2); // 0.010 and 0.017, below 10^-1.75 = 0.0178
  assert.equal(at(0.0179), 1);
  assert.equal(counts.at(-1), 2); // density 1 counts with what lies just below
  assert.equal(densityHistogram([1], 1e9).counts[0], 1);
});

test('a feature is alive in the sense of the paper’s code when it is active more than ten times', () => {
  assert.equal(aliveShareOverTen([0, 1, 10, 11, 500]), 0.4);
});

test('reconstructions: half as long and in the same direction, at right angles, and vectors of length 0', () => {
  const half = reconstructionQuality(addReconstructions(NO_RECONSTRUCTIONS, Float32Array.of(3, 4, 6, 8), Float32Array.of(1.5, 2, 3, 4), 2));
  assert.deepEqual(half, { norm: 7.5, l2Ratio: 0.5, cosine: 1, relativeBias: 0.5 });
  const right = reconstructionQuality(addReconstructions(NO_RECONSTRUCTIONS, Float32Array.of(1, 0), Float32Array.of(0, 2), 2));
  assert.deepEqual(right, { norm: 1, l2Ratio: 2, cosine: 0, relativeBias: null });
  const zero = addReconstructions(NO_RECONSTRUCTIONS, Float32Array.of(0, 0), Float32Array.of(0, 2), 2);
  assert.deepEqual(reconstructionQuality(zero), { norm: 0, l2Ratio: null, cosine: null, relativeBias: null });
  // In two parts as in one.
  const parts = addReconstructions(addReconstructions(NO_RECONSTRUCTIONS, Float32Array.of(3, 4), Float32Array.of(1.5, 2), 2), Float32Array.of(6, 8), Float32Array.of(3, 4), 2);
  assert.deepEqual(reconstructionQuality(parts), half);
});

test('shares recovered, and none where an ablation does not hurt', () => {
  const sums = (crossEntropy: number, divergence: number) => ({ predictions: 2, crossEntropy, divergence });
  const scores = spliceScores({ original: sums(4, 0), spliced: sums(5, 1), zero: sums(8, 4), mean: sums(4, 0) });
  assert.deepEqual([scores.ceRecovered, scores.klRecovered, scores.ceRecoveredFromMean, scores.klRecoveredFromMean], [0.75, 0.75, null, null]);
  assert.deepEqual([scores.perplexityOriginal, scores.perplexitySpliced], [Math.exp(2), Math.exp(2.5)]);
  assert.deepEqual(addPredictions(addPredictions(NO_PREDICTIONS, sums(1, 2)), sums(3, 4)), { predictions: 4, crossEntropy: 4, divergence: 6 });
});
