import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TrainingState } from '../../src/dictionary/architecture.ts';
import { encode } from '../../src/dictionary/encode.ts';
import { trainableArchitecture } from '../../src/dictionary/registry.ts';
import { drawWithout, resample, resampleDue } from '../../src/dictionary/resample.ts';
import { trainedWeights } from '../../src/dictionary/weights.ts';
import { Rng } from '../../src/math/rng.ts';
import { runSteps } from './graphRunner.ts';
import { specOf } from './specOf.ts';

const [B, D, F] = [16, 6, 10];
const DEAD = [2, 5, 9];

function setting(name: 'tied' | 'untied', transcoder = false) {
  const spec = specOf(name, { B, D, F, ...(transcoder ? { dOut: 4, skip: true } : {}), totalSteps: 100, seed: 8 }, { resampleSteps: 10 });
  const rng = new Rng(9);
  const draw = (n: number) => Float32Array.from({ length: n }, () => rng.normal() + 0.5);
  const state = new Map(
    [...trainableArchitecture(name).initialState(spec, draw(spec.dOut))].map(([key, { shape, data }]) => [key, { shape, data: key.endsWith('.m') || key.endsWith('.v') ? data.map(() => 1 + rng.next()) : data }]),
  );
  state.set('step', { shape: [1], data: Float32Array.of(20) });
  // Exactly half of resampleSteps is not dead yet.
  state.set('sinceFired', { shape: [F], data: Float32Array.from({ length: F }, (_, j) => (DEAD.includes(j) ? 6 * B : j === 0 ? 5 * B : 0)) });
  const batch = { x: draw(B * D), loss: Float32Array.from({ length: B }, () => rng.next()), ...(transcoder ? { y: draw(B * 4) } : {}) };
  return { spec, state: state as TrainingState, batch };
}

const row = (state: TrainingState, name: string, j: number) => {
  const { data, shape } = state.get(name)!;
  const width = data.length / shape[0]!;
  return data.subarray(j * width, (j + 1) * width);
};
const norm = (values: Float32Array) => Math.hypot(...values);
const cosine = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, d) => sum + value * b[d]!, 0) / (norm(a) * norm(b));

test('due every resampleSteps, not before the first step nor after the last', () => {
  const { spec } = setting('untied');
  assert.deepEqual([0, 9, 10, 15, 90, 100].filter((step) => resampleDue(spec, step)), [10, 90]);
  assert.equal(resampleDue({ ...spec, hyper: { ...spec.hyper, resampleSteps: 0 } }, 10), false);
});

for (const transcoder of [false, true]) {
  test(`untied${transcoder ? ' transcoder' : ''}: each dead feature takes a vector of its own; the living ones keep everything`, () => {
    const { spec, state, batch } = setting('untied', transcoder);
    const next = resample(state, spec, batch);
    const living = Array.from({ length: F }, (_, j) => j).filter((j) => !DEAD.includes(j));
    const reach = (0.2 * living.reduce((sum, j) => sum + norm(row(state, 'encoder', j)), 0)) / living.length;
    const bias = state.get('decoderBias')!.data;
    const used = DEAD.map((j) => {
      assert.ok(Math.abs(norm(row(next, 'encoder', j)) / reach - 1) < 1e-6);
      assert.ok(Math.abs(norm(row(next, 'decoder', j)) - 1) < 1e-6);
      assert.equal(next.get('encoderBias')!.data[j], 0);
      assert.equal(next.get('sinceFired')!.data[j], 0);
      for (const name of ['encoder.m', 'encoder.v', 'encoderBias.m', 'encoderBias.v', 'decoder.m', 'decoder.v']) assert.ok(row(next, name, j).every((value) => value === 0), name);
      const centred = (i: number) => batch.x.slice(i * D, (i + 1) * D).map((value, d) => value - (transcoder ? 0 : bias[d]!));
      const i = Array.from({ length: B }, (_, at) => at).find((at) => cosine(row(next, 'encoder', j), centred(at)) > 1 - 1e-6)!;
      assert.ok(i !== undefined, `feature ${j} has the direction of some vector`);
      const written = transcoder ? batch.y!.slice(i * 4, (i + 1) * 4).map((value, d) => value - bias[d]!) : centred(i);
      assert.ok(cosine(row(next, 'decoder', j), written) > 1 - 1e-6);
      return i;
    });
    assert.equal(new Set(used).size, DEAD.length);
    for (const [name, { shape }] of state) {
      if (shape[0] !== F) assert.deepEqual(next.get(name), state.get(name), name);
      else for (const j of living) assert.deepEqual(row(next, name, j), row(state, name, j), `${name} of living ${j}`);
    }
  });
}

test('tied: a resampled feature reads its vector with a fifth of its length', () => {
  const { spec, state, batch } = setting('tied');
  const next = resample(state, spec, batch);
  const weights = trainedWeights({ name: '0', model: 'm', hookPoint: 'embed', outputHookPoint: null, inputScale: 1, outputScale: 1, run: 'r' }, spec, next);
  for (const j of DEAD) {
    const codes = encode(weights, batch.x, [j]);
    const i = Array.from({ length: B }, (_, at) => at).find((at) => cosine(row(next, 'rows', j), batch.x.slice(at * D, (at + 1) * D)) > 1 - 1e-6)!;
    assert.ok(Math.abs(codes[i]! / norm(batch.x.slice(i * D, (i + 1) * D)) - 0.2) < 1e-5);
  }
  for (const name of ['rows.m', 'rows.v', 'bias.m', 'bias.v']) for (const j of DEAD) assert.ok(row(next, name, j).every((value) => value === 0), name);
});

test('the same state gives the same result, another step or seed another; the state given is left alone', () => {
  const { spec, state, batch } = setting('untied');
  const before = structuredClone(state);
  const once = resample(state, spec, batch);
  assert.deepEqual(resample(structuredClone(state), spec, batch), once);
  assert.deepEqual(state, before);
  assert.notDeepEqual(resample(state, { ...spec, seed: 9 }, batch).get('encoder'), once.get('encoder'));
  assert.notDeepEqual(resample(new Map(state).set('step', { shape: [1], data: Float32Array.of(30) }), spec, batch).get('encoder'), once.get('encoder'));
  assert.equal(resample(once, spec, batch), once, 'nothing dead, nothing done');
});

test('draws are proportional to weight, without replacement, and never of weight 0', () => {
  const weights = [1, 2, 0, 5];
  const first = [0, 0, 0, 0];
  const second = [0, 0, 0, 0];
  const n = 20_000;
  for (let seed = 0; seed < n; seed++) {
    const drawn = drawWithout(weights, 2, new Rng(seed));
    first[drawn[0]!]!++;
    if (drawn[0] === 3) second[drawn[1]!]!++;
  }
  for (const [i, share] of [1 / 8, 2 / 8, 0, 5 / 8].entries()) assert.ok(Math.abs(first[i]! / n - share) < 0.015, `first ${i}: ${first[i]! / n}`);
  for (const [i, share] of [1 / 3, 2 / 3, 0, 0].entries()) assert.ok(Math.abs(second[i]! / first[3]! - share) < 0.02, `second ${i}`);
  assert.deepEqual(drawWithout(weights, 9, new Rng(1)).toSorted(), [0, 1, 3]);
});

test('resampling revives: after it, features that no vector reached fire and lower the error', async () => {
  const architecture = trainableArchitecture('untied');
  const spec = specOf('untied', { B: 64, D, F, totalSteps: 400 }, { resampleSteps: 100, sparsity: 0.01, warmupSteps: 0, sparsityWarmupSteps: 0, learningRate: 3e-3, deadVectors: 1000 });
  const rng = new Rng(10);
  const vectors = (steps: number) => Float32Array.from({ length: steps * 64 * D }, () => rng.normal());
  const start = new Map(architecture.initialState(spec, new Float32Array(D)));
  start.set('encoderBias', { shape: [F], data: Float32Array.from({ length: F }, (_, j) => (j < 3 ? 0 : -50)) });
  const first = await runSteps(architecture, spec, start, vectors(100));
  assert.equal(Math.round(first.stats.at(-1)!.dead * F), 7);
  const x = vectors(1);
  const norms = Float32Array.from({ length: 64 }, (_, i) => norm(x.slice(i * D, (i + 1) * D)));
  const second = await runSteps(architecture, spec, resample(first.state, spec, { x, loss: norms }), vectors(100));
  const untouched = await runSteps(architecture, spec, first.state, vectors(100));
  assert.equal(second.stats.at(-1)!.dead, 0);
  assert.ok(second.stats.at(-1)!.mse < 0.7 * untouched.stats.at(-1)!.mse, `${second.stats.at(-1)!.mse}, without ${untouched.stats.at(-1)!.mse}`);
});
