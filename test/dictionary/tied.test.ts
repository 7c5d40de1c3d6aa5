import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { OrtTrainer } from '../../src/adapters/ort/ortTrainer.ts';
import { trainedWeights } from '../../src/dictionary/weights.ts';
import { tied } from '../../src/dictionary/tied.ts';
import { Rng } from '../../src/math/rng.ts';
import { naiveTied } from './naiveTied.ts';
import { specOf } from './specOf.ts';

interface Fixture {
  readonly tolerance: { readonly gradient: number; readonly afterSteps: number };
  readonly B: number;
  readonly D: number;
  readonly F: number;
  readonly learningRate: number;
  readonly cases: readonly {
    readonly name: string;
    readonly l1: number;
    readonly rows: number[];
    readonly bias: number[];
    readonly x: number[];
    readonly steps: readonly { loss: number; mse: number; l0: number }[];
    readonly firstGradient: { readonly rows: number[]; readonly bias: number[] };
    readonly final: Readonly<Record<string, number[]>>;
  }[];
}

const fixture = JSON.parse(await readFile(new URL('../fixtures/dictionary/tied_sae.json', import.meta.url), 'utf8')) as Fixture;

/** Largest difference, relative to the largest expected value. */
function distance(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  assert.equal(found.length, expected.length);
  let worst = 0;
  let scale = 0;
  for (let i = 0; i < found.length; i++) {
    worst = Math.max(worst, Math.abs(found[i]! - expected[i]!));
    scale = Math.max(scale, Math.abs(expected[i]!));
  }
  return worst / scale;
}

for (const example of fixture.cases) {
  const { B, D, F } = fixture;

  test(`PyTorch, ${example.name}: the naive gradient is autograd's`, () => {
    const naive = naiveTied({ B, D, F, l1: example.l1 }, example.rows, example.bias, example.x.slice(0, B * D));
    assert.ok(distance(naive.dRows, example.firstGradient.rows) < fixture.tolerance.gradient);
    assert.ok(distance(naive.dBias, example.firstGradient.bias) < fixture.tolerance.gradient);
    assert.ok(Math.abs(naive.loss - example.steps[0]!.loss) < fixture.tolerance.gradient);
  });

  test(`PyTorch, ${example.name}: ${example.steps.length} steps of the graph are torch.optim.Adam's`, async () => {
    const spec = specOf('tied', { B, D, F }, { sparsity: example.l1, learningRate: fixture.learningRate });
    const start = new Map(tied.initialState(spec, new Float32Array(D)));
    start.set('rows', { shape: [F, D], data: Float32Array.from(example.rows) });
    start.set('bias', { shape: [F], data: Float32Array.from(example.bias) });
    const trainer = await OrtTrainer.open(spec, 1, { kind: 'resume', state: start });
    const stats = await trainer.steps(Float32Array.from(example.x));
    for (const [i, expected] of example.steps.entries()) {
      assert.ok(Math.abs(stats[i]!.loss - expected.loss) < fixture.tolerance.afterSteps, `loss of step ${i}: ${stats[i]!.loss}, expected ${expected.loss}`);
      assert.ok(Math.abs(stats[i]!.mse - expected.mse) < fixture.tolerance.afterSteps);
      assert.equal(stats[i]!.l0, expected.l0);
    }
    for (const [name, expected] of Object.entries(example.final)) {
      const found = trainer.state().get(name)!.data;
      const error = distance(found, expected);
      assert.ok(error < fixture.tolerance.afterSteps, `${name}: relative error ${error}`);
    }
    await trainer.close();
  });
}

test('the naive gradient is the finite difference of the naive loss', () => {
  const [B, D, F, l1] = [4, 5, 7, 0.03];
  const rng = new Rng(2);
  const draw = (n: number): Float64Array => Float64Array.from({ length: n }, () => rng.normal());
  const [rows, bias, x] = [draw(F * D), draw(F), draw(B * D)];
  const { dRows, dBias } = naiveTied({ B, D, F, l1 }, rows, bias, x);
  const step = 1e-6;
  const slope = (values: Float64Array, i: number): number => {
    const held = values[i]!;
    values[i] = held + step;
    const above = naiveTied({ B, D, F, l1 }, rows, bias, x).loss;
    values[i] = held - step;
    const below = naiveTied({ B, D, F, l1 }, rows, bias, x).loss;
    values[i] = held;
    return (above - below) / (2 * step);
  };
  for (let i = 0; i < rows.length; i++) assert.ok(Math.abs(slope(rows, i) - dRows[i]!) < 1e-7, `dRows[${i}]`);
  for (let i = 0; i < bias.length; i++) assert.ok(Math.abs(slope(bias, i) - dBias[i]!) < 1e-7, `dBias[${i}]`);
});

test('the graph’s gradient is the naive one at sizes that fill vector registers unevenly', async () => {
  // Adam's first moment after one step from zero is (1 − β1) times the gradient.
  const [B, D, F, l1] = [33, 19, 45, 0.01];
  const spec = specOf('tied', { B, D, F, seed: 3 }, { sparsity: l1 });
  const rng = new Rng(4);
  const x = Float32Array.from({ length: B * D }, () => rng.normal());
  const start = tied.initialState(spec, new Float32Array(D));
  const naive = naiveTied({ B, D, F, l1 }, start.get('rows')!.data, start.get('bias')!.data, x);
  const trainer = await OrtTrainer.open(spec, 1, { kind: 'resume', state: start });
  const [stats] = await trainer.steps(x);
  assert.ok(Math.abs(stats!.loss / naive.loss - 1) < 1e-5);
  assert.ok(Math.abs(stats!.l0 - naive.l0) < 1e-4);
  assert.ok(distance(trainer.state().get('rows.m')!.data.map((m) => m * 10), naive.dRows) < 1e-4);
  assert.ok(distance(trainer.state().get('bias.m')!.data.map((m) => m * 10), naive.dBias) < 1e-4);
  await trainer.close();
});

test('initial rows are Xavier-uniform and differ by seed; weights have unit rows', () => {
  const initial = (seed: number) => tied.initialState(specOf('tied', { B: 8, D: 64, F: 256, seed }), new Float32Array(64));
  const state = initial(1);
  const rows = state.get('rows')!.data;
  const bound = Math.sqrt(6 / 320);
  assert.ok(rows.every((value) => Math.abs(value) <= bound));
  const variance = rows.reduce((sum, value) => sum + value * value, 0) / rows.length;
  assert.ok(Math.abs(variance / (bound ** 2 / 3) - 1) < 0.05);
  assert.notDeepEqual(initial(2).get('rows')!.data, rows);
  assert.deepEqual(initial(1).get('rows')!.data, rows);

  const belonging = { name: '0-tied', model: 'm', hookPoint: 'embed', outputHookPoint: null, inputScale: 1, outputScale: 1, run: 'r' } as const;
  const weights = trainedWeights(belonging, specOf('tied', { B: 8, D: 64, F: 256 }), state);
  for (let j = 0; j < 256; j++) assert.ok(Math.abs(Math.hypot(...weights.decoder.subarray(j * 64, (j + 1) * 64)) - 1) < 1e-6);
  assert.deepEqual(weights.encoder, weights.decoder);
});
