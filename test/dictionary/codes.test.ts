import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TrainableArchitecture, TrainingState } from '../../src/dictionary/architecture.ts';
import { decode, encode } from '../../src/dictionary/encode.ts';
import { TRAINABLE, trainableArchitecture } from '../../src/dictionary/registry.ts';
import { trainedWeights } from '../../src/dictionary/weights.ts';
import type { TrainerSpec } from '../../src/domain/training.ts';
import { Rng } from '../../src/math/rng.ts';
import { runSteps } from './graphRunner.ts';
import { specOf } from './specOf.ts';

const [B, D, F, dOut] = [32, 8, 24, 5];
const rng = new Rng(6);
const draw = (n: number, scale = 1) => Float32Array.from({ length: n }, () => scale * rng.normal());

/** A start where every parameter differs from what initialisers give. */
function perturbed(architecture: TrainableArchitecture, spec: TrainerSpec): TrainingState {
  const start = new Map(architecture.initialState(spec, draw(spec.dOut, 0.2)));
  for (const name of ['encoderBias', 'rescale', 'magnitudeBias', 'bias', 'skip']) {
    const tensor = start.get(name);
    if (tensor !== undefined) start.set(name, { shape: tensor.shape, data: draw(tensor.data.length, 0.3) });
  }
  const threshold = start.get('threshold');
  if (threshold !== undefined) start.set('threshold', { shape: threshold.shape, data: threshold.data.map(() => 0.4 + 0.4 * rng.next()) });
  return start;
}

const read = (spec: TrainerSpec, state: TrainingState, x: Float32Array) => {
  const hookPoints = { hookPoint: 'embed', outputHookPoint: spec.transcoder ? 'resid_post.0' : null } as const;
  const weights = trainedWeights({ name: '0', model: 'm', ...hookPoints, inputScale: 1, outputScale: 1, run: 'r' }, spec, state);
  const codes = encode(weights, x);
  return { weights, codes, reconstruction: decode(weights, codes, x) };
};

const mse = (found: Float32Array, expected: Float32Array) => found.reduce((sum, value, i) => sum + (value - expected[i]!) ** 2, 0) / found.length;

for (const { name } of TRAINABLE) {
  const architecture = trainableArchitecture(name);
  for (const transcoder of architecture.transcoder ? [false, true] : [false]) {
    test(`${name}${transcoder ? ' transcoder' : ''}: parameters() reads vectors as training does`, async () => {
      // Codes of a batch are not those of single vectors: there k·B = all active ones.
      const batch = name === 'batchtopk' || name === 'matryoshka';
      const spec = specOf(name, { B, D, F, ...(transcoder ? { dOut, skip: true } : {}) }, batch ? { k: F } : name === 'topk' ? { k: 4 } : {});
      let start = perturbed(architecture, spec);
      if (batch) start = new Map(start).set('threshold', { shape: [1], data: Float32Array.of(-1) });
      const x = draw(B * D);
      const y = transcoder ? draw(B * dOut) : x;
      const { stats } = await runSteps(architecture, spec, start, x, transcoder ? { y } : {});
      const { codes, reconstruction, weights } = read(spec, start, x);
      assert.ok(Math.abs(codes.filter((c) => c > 0).length / B - stats[0]!.l0) < 1e-4, `l0 ${codes.filter((c) => c > 0).length / B}, in training ${stats[0]!.l0}`);
      assert.ok(stats[0]!.l0 > 1 && stats[0]!.l0 < F - 1);
      assert.ok(Math.abs(mse(reconstruction, y) / stats[0]!.mse - 1) < 1e-5, `mse ${mse(reconstruction, y)}, in training ${stats[0]!.mse}`);
      assert.ok(weights.threshold === null || weights.threshold.every((theta) => theta >= 0));
    });
  }
}

test('topk keeps exactly k of each vector that has as many, and batchtopk k on average', async () => {
  for (const name of ['topk', 'batchtopk', 'matryoshka'] as const) {
    const architecture = trainableArchitecture(name);
    const spec = specOf(name, { B, D, F }, { k: 3 });
    const { stats } = await runSteps(architecture, spec, architecture.initialState(spec, new Float32Array(D)), draw(5 * B * D));
    for (const { l0 } of stats) assert.ok(Math.abs(l0 - 3) < 1e-5, `${name}: ${l0}`);
  }
});

test('of equal activations topk keeps k, those of lower index', async () => {
  // Every feature reads the same: all codes tie.
  const architecture = trainableArchitecture('topk');
  const spec = specOf('topk', { B, D, F }, { k: 3 });
  const start = new Map(architecture.initialState(spec, new Float32Array(D)));
  start.set('encoder', { shape: [F, D], data: new Float32Array(F * D) });
  start.set('encoderBias', { shape: [F], data: new Float32Array(F).fill(1) });
  const { stats, state } = await runSteps(architecture, spec, start, draw(B * D));
  assert.ok(Math.abs(stats[0]!.l0 - 3) < 1e-5);
  assert.deepEqual([...state.get('sinceFired')!.data.subarray(0, 5)], [0, 0, 0, B, B]);
});

test('batchtopk: the threshold is the running mean of smallest codes, from thresholdStart on, and −1 before', async () => {
  const architecture = trainableArchitecture('batchtopk');
  const spec = specOf('batchtopk', { B, D, F }, { k: 2, thresholdStart: 2, thresholdDecay: 0.9, learningRate: 0.01, warmupSteps: 0 });
  let state: TrainingState = architecture.initialState(spec, new Float32Array(D));
  let expected = -1;
  for (let step = 1; step <= 5; step++) {
    const x = draw(B * D);
    // The k·B-th largest code of the batch, read with the parameters before the step.
    const all = new Map(state).set('threshold', { shape: [1], data: Float32Array.of(0) });
    const codes = read(spec, all, x).codes.toSorted().reverse();
    const smallest = codes[2 * B - 1]!;
    if (step > 2) expected = expected < 0 ? smallest : 0.9 * expected + 0.1 * smallest;
    ({ state } = await runSteps(architecture, spec, state, x));
    assert.ok(Math.abs(state.get('threshold')!.data[0]! - expected) < 1e-5, `step ${step}: ${state.get('threshold')!.data[0]}, expected ${expected}`);
    const { k, threshold } = architecture.parameters(state, spec);
    if (step <= 2) assert.deepEqual([k, threshold], [2, null]);
    else assert.deepEqual([k, threshold], [null, new Float32Array(F).fill(state.get('threshold')!.data[0]!)]);
  }
});

test('batchtopk: a batch without any code leaves the threshold and gives finite numbers', async () => {
  const architecture = trainableArchitecture('batchtopk');
  const spec = specOf('batchtopk', { B, D, F }, { k: 2, thresholdStart: 0, deadVectors: 1 });
  const start = new Map(architecture.initialState(spec, new Float32Array(D)));
  start.set('encoderBias', { shape: [F], data: new Float32Array(F).fill(-100) });
  start.set('threshold', { shape: [1], data: Float32Array.of(0.5) });
  const { state, stats } = await runSteps(architecture, spec, start, draw(B * D));
  assert.equal(state.get('threshold')!.data[0], 0.5);
  assert.equal(stats[0]!.l0, 0);
  for (const [name, { data }] of state) assert.ok(data.every((value) => Number.isFinite(value)), name);
});

test('a residual without variance gives no auxiliary loss and no NaN', async () => {
  // One vector repeated: e equals its mean.
  const architecture = trainableArchitecture('topk');
  const spec = specOf('topk', { B, D, F }, { k: 2, deadVectors: 1, auxCoefficient: 1 });
  const one = draw(D);
  const x = Float32Array.from({ length: B * D }, (_, i) => Math.fround(Math.round(one[i % D]! * 4) / 4));
  const start = new Map(architecture.initialState(spec, new Float32Array(D)));
  start.set('encoder', { shape: [F, D], data: new Float32Array(F * D) }); // no code at all: e = −x to the bit
  const { state, stats } = await runSteps(architecture, spec, start, x);
  assert.equal(stats[0]!.loss, stats[0]!.mse);
  for (const [name, { data }] of state) assert.ok(data.every((value) => Number.isFinite(value)), name);
});

test('jumprelu: thresholds stop at 0', async () => {
  const architecture = trainableArchitecture('jumprelu');
  const spec = specOf('jumprelu', { B, D, F }, { targetL0: F, sparsity: 100, sparsityWarmupSteps: 0, bandwidth: 1, learningRate: 0.1, warmupSteps: 0, initialThreshold: 0.2 });
  const { state } = await runSteps(architecture, spec, architecture.initialState(spec, new Float32Array(D)), draw(20 * B * D));
  const theta = state.get('threshold')!.data;
  assert.ok(theta.some((value) => value === 0) && theta.every((value) => value >= 0), theta.join(' '));
});

test('settings that no dictionary can have are refused with what would do', () => {
  assert.throws(() => specOf('topk', { B, D, F }, { k: F + 1 }), /k: expected 1 to 24/);
  assert.throws(() => specOf('topk', { B, D, F }, { k: 0 }), /k: expected 1 to 24/);
  assert.throws(() => specOf('batchtopk', { B, D, F }, { auxK: 0 }), /auxK: expected 1 to 24.*auxCoefficient to 0/);
  assert.throws(() => specOf('matryoshka', { B, D, F }, { groupShares: [0.01, 0.99] }), /groupShares: 0.01, 0.99 of 24 features leave a group empty/);
  assert.throws(() => specOf('jumprelu', { B, D, F }, { bandwidth: 0 }), /bandwidth: expected a positive number/);
  assert.throws(() => specOf('jumprelu', { B, D, F }, { targetL0: 25 }), /targetL0: expected at most 24/);
  assert.throws(() => specOf('gated', { B, D, F }, { k: 3 }), /the gated architecture has no such setting/);
});
