import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NEUTRAL } from '../../src/dictionary/hyperparameters.ts';
import { TRAINABLE } from '../../src/dictionary/registry.ts';
import { adamScalars, learningRateShare, sparsityAt } from '../../src/dictionary/schedule.ts';
import { specOf } from './specOf.ts';

const sizes = { B: 8, D: 4, F: 64, totalSteps: 100 };

test('the step size rises over warmupSteps, holds, and falls over the last decaySteps', () => {
  const spec = specOf('untied', sizes, { warmupSteps: 4, decaySteps: 5 });
  const shares = [1, 2, 3, 4, 5, 50, 95, 96, 97, 98, 99, 100].map((step) => learningRateShare(spec, step));
  assert.deepEqual(shares, [0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2]);
  const flat = specOf('untied', sizes, { warmupSteps: 0 });
  assert.deepEqual([1, 100, 101].map((step) => learningRateShare(flat, step)), [1, 1, 1]);
});

test('the sparsity coefficient rises over sparsityWarmupSteps', () => {
  const spec = specOf('untied', sizes, { sparsity: 0.3, sparsityWarmupSteps: 3 });
  [0.1, 0.2, 0.3, 0.3].forEach((expected, i) => assert.ok(Math.abs(sparsityAt(spec, i + 1) - expected) < 1e-12));
});

test('Adam’s scalars correct both moments for their start from zero', () => {
  const spec = specOf('untied', sizes, { learningRate: 0.01, warmupSteps: 0 });
  const { stepSize, secondCorrection } = adamScalars(spec, 2);
  assert.ok(Math.abs(stepSize - 0.01 / (1 - 0.81)) < 1e-12);
  assert.ok(Math.abs(secondCorrection - Math.sqrt(1 - 0.999 ** 2)) < 1e-12);
  assert.equal(adamScalars(specOf('gated', sizes, { warmupSteps: 0, learningRate: 0.01 }), 7).stepSize, 0.01, 'β1 = 0 needs no correction');
});

test('defaults of every architecture: complete, warm-ups at most a tenth of the run, the sources’ numbers in long runs', () => {
  for (const { name } of TRAINABLE) {
    const short = specOf(name, sizes).hyper;
    assert.deepEqual(Object.keys(short).toSorted(), Object.keys(NEUTRAL).toSorted());
    for (const key of ['warmupSteps', 'sparsityWarmupSteps', 'thresholdStart'] as const) assert.ok(short[key] <= 10, `${name}: ${key} ${short[key]}`);
  }
  const long = (name: (typeof TRAINABLE)[number]['name']) => specOf(name, { B: 4096, D: 512, F: 16384, totalSteps: 50_000 }).hyper;
  const { learningRate, warmupSteps, auxK, auxCoefficient, clipNorm, deadVectors } = long('topk');
  assert.deepEqual({ learningRate, warmupSteps, auxK, auxCoefficient, clipNorm, deadVectors }, { learningRate: 2e-4, warmupSteps: 1000, auxK: 256, auxCoefficient: 1 / 32, clipNorm: 1, deadVectors: 10_000_000 });
  assert.deepEqual([long('batchtopk').thresholdDecay, long('batchtopk').thresholdStart], [0.999, 1000]);
  assert.equal(specOf('matryoshka', sizes).hyper.thresholdDecay, 0.9);
  assert.deepEqual([long('jumprelu').learningRate, long('jumprelu').beta1, long('jumprelu').sparsityWarmupSteps, long('jumprelu').targetL0], [7e-5, 0, 2000, 20]);
  assert.ok(Math.abs(long('jumprelu').bandwidth / Math.sqrt(512) - 1e-3) < 1e-12);
  assert.deepEqual([long('gated').learningRate, long('gated').beta1, long('gated').clipNorm], [5e-5, 0, 0]);
});

test('settings are refused by name, with what was expected', () => {
  assert.throws(() => specOf('untied', sizes, { bandwidth: 1 }), /bandwidth: the untied architecture has no such setting; it has .*sparsity/);
  assert.throws(() => specOf('untied', sizes, { learningRate: 0 }), /learningRate: expected a positive number, found 0/);
  assert.throws(() => specOf('untied', sizes, { beta2: 1 }), /beta2: expected a number from 0 to below 1, found 1/);
  assert.throws(() => specOf('untied', sizes, { warmupSteps: 1.5 }), /warmupSteps: expected a whole number from 0, found 1.5/);
  assert.throws(() => specOf('matryoshka', sizes, { groupShares: [0.5, 0.4] }), /groupShares: expected positive numbers that sum to 1/);
  assert.throws(() => specOf('tied', { ...sizes, dOut: 4 }), /tied dictionary cannot be a transcoder.*gated/);
  assert.throws(() => specOf('untied', { ...sizes, skip: true }), /needs a transcoder/);
  assert.throws(() => specOf('untied', { ...sizes, B: 0 }), /batchSize: expected a positive integer, found 0/);
  assert.equal(specOf('untied', sizes, { warmupSteps: undefined } as object).hyper.warmupSteps, 10, 'undefined leaves the default');
});
