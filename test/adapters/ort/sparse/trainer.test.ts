import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OrtTrainer } from '../../../../src/adapters/ort/ortTrainer.ts';
import { planSparse } from '../../../../src/adapters/ort/sparse/plan.ts';
import { sparseSupports, SparseTrainer } from '../../../../src/adapters/ort/sparse/trainer.ts';
import { resolveHyperparameters } from '../../../../src/dictionary/hyperparameters.ts';
import { trainableArchitecture } from '../../../../src/dictionary/registry.ts';
import type { TrainableArchitecture } from '../../../../src/domain/dictionary.ts';
import type { Hyperparameters, TrainerSpec, TrainingSizes } from '../../../../src/domain/training.ts';
import { Rng } from '../../../../src/math/rng.ts';
import type { StepStats, TrainerStart, TrainerState } from '../../../../src/ports/TrainingEngine.ts';

/** Odd width, features that fill neither registers nor groups, a batch that fills no block. */
const SIZES: TrainingSizes = { dIn: 19, dOut: 19, nFeatures: 301, batchSize: 70, totalSteps: 100 };

function specOf(architecture: TrainableArchitecture, hyper: Partial<Hyperparameters>, change: Partial<TrainerSpec> = {}): TrainerSpec {
  const sizes = { ...SIZES, ...change };
  return { architecture, ...sizes, transcoder: false, skip: false, seed: 3, ...change, hyper: resolveHyperparameters(trainableArchitecture(architecture), sizes, hyper) };
}

function draw(n: number, seed: number): Float32Array {
  const rng = new Rng(seed);
  return Float32Array.from({ length: n }, () => rng.normal());
}

interface Result {
  readonly stats: readonly StepStats[];
  readonly state: TrainerState;
}

async function train(open: typeof SparseTrainer | typeof OrtTrainer, spec: TrainerSpec, { threads = 1, steps = 50, start = freshStart(spec), from = 0 }: { threads?: number; steps?: number; start?: TrainerStart; from?: number } = {}): Promise<Result> {
  const trainer = await open.open(spec, threads, start);
  try {
    const { batchSize: B, dIn: D, dOut: O } = spec;
    const x = draw((from + steps) * B * D, 1).slice(from * B * D);
    const y = spec.transcoder ? draw((from + steps) * B * O, 2).slice(from * B * O) : undefined;
    return { stats: await trainer.steps(x, y), state: trainer.state() };
  } finally {
    await trainer.close();
  }
}

function freshStart(spec: TrainerSpec): TrainerStart {
  return { kind: 'fresh', centre: draw(spec.dOut, 9).map((value) => value / 10) };
}

/** Both ways from one start: codes active and dead alike in every step, everything else to rounding. */
async function agree(spec: TrainerSpec, tolerance = 1e-5, steps = 50): Promise<Result> {
  assert.ok(sparseSupports(spec));
  const graph = await train(OrtTrainer, spec, { steps });
  const sparse = await train(SparseTrainer, spec, { steps });
  for (const [i, expected] of graph.stats.entries()) {
    const found = sparse.stats[i];
    assert.ok(Math.abs(found.loss / expected.loss - 1) < tolerance, `loss of step ${i}: ${found.loss}, the graph's ${expected.loss}`);
    assert.ok(Math.abs(found.mse / expected.mse - 1) < tolerance, `mse of step ${i}: ${found.mse}, the graph's ${expected.mse}`);
    assert.equal(Math.round(found.l0 * spec.batchSize), Math.round(expected.l0 * spec.batchSize), `active codes of step ${i}`);
    assert.equal(Math.round(found.dead * spec.nFeatures), Math.round(expected.dead * spec.nFeatures), `dead features of step ${i}`);
  }
  assert.deepEqual([...sparse.state.keys()].sort(), [...graph.state.keys()].sort());
  for (const [name, expected] of graph.state) {
    const found = sparse.state.get(name)!;
    assert.deepEqual(found.shape, expected.shape);
    const scale = expected.data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const off = found.data.reduce((most, value, i) => Math.max(most, Math.abs(value - expected.data[i])), 0);
    assert.ok(off <= tolerance * scale, `${name} is off by ${off} of ${scale}`);
  }
  assert.deepEqual(sparse.state.get('sinceFired')!.data, graph.state.get('sinceFired')!.data);
  return sparse;
}

const k = { k: 5, learningRate: 1e-3 };
const dying = { ...k, auxK: 9, deadVectors: 300 };

test('topk: fifty steps are the graph’s', async () => {
  await agree(specOf('topk', { ...k, auxCoefficient: 0 }));
});

test('topk: the auxiliary loss of dead features is the graph’s', async () => {
  const { stats } = await agree(specOf('topk', dying));
  assert.ok(stats.some(({ dead }) => dead > 0), 'features died');
});

test('topk: more dead features than auxK, and all of them dead', async () => {
  const many = await agree(specOf('topk', { ...k, auxK: 3, deadVectors: 71 }));
  assert.ok(many.stats.some(({ dead }) => dead * SIZES.nFeatures > 3));
  // A bias that silences everything: no code is positive, every feature dies, and nothing is active in the auxiliary loss.
  const spec = specOf('topk', { ...k, auxK: 9, deadVectors: 60 });
  const state = new Map(trainableArchitecture('topk').initialState(spec, new Float32Array(19)));
  state.set('encoderBias', { shape: [301], data: new Float32Array(301).fill(-100) });
  const start = { kind: 'resume', state } as const;
  const graph = await train(OrtTrainer, spec, { steps: 3, start });
  const sparse = await train(SparseTrainer, spec, { steps: 3, start });
  assert.deepEqual(sparse.stats.map(({ l0, dead }) => [l0, dead]), [[0, 1], [0, 1], [0, 1]]);
  for (const [i, { loss }] of graph.stats.entries()) assert.ok(Math.abs(sparse.stats[i].loss / loss - 1) < 1e-5);
});

test('topk: fewer positive codes than k', async () => {
  const spec = specOf('topk', { ...k, k: 15, auxCoefficient: 0 });
  const state = new Map(trainableArchitecture('topk').initialState(spec, new Float32Array(19)));
  state.set('encoderBias', { shape: [301], data: new Float32Array(301).fill(-2.2) });
  const start = { kind: 'resume', state } as const;
  const graph = await train(OrtTrainer, spec, { steps: 5, start });
  const sparse = await train(SparseTrainer, spec, { steps: 5, start });
  assert.ok(sparse.stats[0].l0 > 1 && sparse.stats[0].l0 < 14, `l0 ${sparse.stats[0].l0}`);
  for (const [i, { l0 }] of graph.stats.entries()) assert.ok(Math.abs(sparse.stats[i].l0 - l0) < 1e-3);
});

test('topk: without clipping, and a gradient norm that is never reached', async () => {
  await agree(specOf('topk', { ...k, clipNorm: 0 }));
  await agree(specOf('topk', { ...k, clipNorm: 1e-3 }), 1e-4);
});

test('topk: a transcoder with a linear path to another width', async () => {
  await agree(specOf('topk', dying, { transcoder: true, skip: true, dOut: 13 }));
});

test('batchtopk: thirty steps are the graph’s, the running threshold too', async () => {
  await agree(specOf('batchtopk', { ...dying, thresholdStart: 3 }), 2e-3, 30);
});

test('matryoshka: thirty steps are the graph’s, groups smaller and larger than those of the kernels', async () => {
  await agree(specOf('matryoshka', { ...dying, thresholdStart: 3, groupShares: [0.02, 0.3, 0.68] }), 2e-3, 30);
  await agree(specOf('matryoshka', { ...dying, thresholdStart: 3 }, { transcoder: true, skip: true, dOut: 13 }), 2e-3, 20);
});

test('tied and untied: dense steps are the graph’s', async () => {
  await agree(specOf('tied', { sparsity: 8e-3 }), 1e-4);
  await agree(specOf('untied', { sparsity: 8e-3 }), 1e-4);
  // Three groups of features, the last one smaller; two blocks of rows.
  await agree(specOf('tied', { sparsity: 8e-3 }, { nFeatures: 1100, batchSize: 300 }), 1e-4, 10);
  await agree(specOf('untied', { sparsity: 8e-3 }, { nFeatures: 1100, batchSize: 300 }), 1e-4, 10);
});

test('tied and untied: clipped steps are the graph’s, dense and sparse', async () => {
  await agree(specOf('tied', { sparsity: 8e-3, clipNorm: 0.1 }), 1e-4);
  await agree(specOf('untied', { sparsity: 8e-3, clipNorm: 0.1 }, { transcoder: true, skip: true, dOut: 13 }), 1e-4);
  const spec = specOf('tied', { sparsity: 0.05, clipNorm: 0.1 });
  const state = new Map(trainableArchitecture('tied').initialState(spec, new Float32Array(19)));
  state.set('bias', { shape: [301], data: new Float32Array(301).fill(-2) });
  const start = { kind: 'resume', state } as const;
  const graph = await train(OrtTrainer, spec, { start });
  const sparse = await train(SparseTrainer, spec, { start });
  for (const [i, { loss }] of graph.stats.entries()) assert.ok(Math.abs(sparse.stats[i].loss / loss - 1) < 1e-4, `step ${i}`);
});

test('tied and untied: sparse steps are the graph’s', async () => {
  for (const architecture of ['tied', 'untied'] as const) {
    const spec = specOf(architecture, { sparsity: 0.05 });
    const state = new Map(trainableArchitecture(architecture).initialState(spec, new Float32Array(19)));
    state.set(architecture === 'tied' ? 'bias' : 'encoderBias', { shape: [301], data: new Float32Array(301).fill(-2) });
    const start = { kind: 'resume', state } as const;
    const graph = await train(OrtTrainer, spec, { start });
    const sparse = await train(SparseTrainer, spec, { start });
    assert.ok(sparse.stats.every(({ l0 }) => l0 < 301 / 16), 'sparse throughout');
    for (const [i, { loss }] of graph.stats.entries()) assert.ok(Math.abs(sparse.stats[i].loss / loss - 1) < 1e-4, `${architecture} step ${i}`);
    for (const [name, { data }] of graph.state) {
      const scale = data.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-30);
      sparse.state.get(name)!.data.forEach((value, i) => assert.ok(Math.abs(value - data[i]) <= 1e-3 * scale, `${architecture} ${name}[${i}]`));
    }
  }
});

test('untied: a transcoder turns from dense to sparse steps as codes die out', async () => {
  const { stats } = await agree(specOf('untied', { sparsity: 0.5, learningRate: 1e-2 }, { transcoder: true, skip: true, dOut: 13 }), 0.05, 20);
  assert.ok(stats[0].l0 > 100);
  const long = await train(SparseTrainer, specOf('untied', { sparsity: 0.5, learningRate: 1e-2 }), { steps: 60 });
  assert.ok(long.stats.at(-1)!.l0 < 301 / 16, `${long.stats.at(-1)!.l0} active at the end`);
});

const ALL: readonly TrainerSpec[] = [specOf('topk', dying), specOf('batchtopk', dying), specOf('matryoshka', dying), specOf('tied', { sparsity: 0.5, learningRate: 1e-2 }), specOf('untied', { sparsity: 0.5, learningRate: 1e-2 }), specOf('tied', { sparsity: 0.5, learningRate: 1e-2 }, { nFeatures: 1100 })];

for (const spec of ALL) {
  test(`${spec.architecture}, F ${spec.nFeatures}: the number of threads changes no bit, and restoring the state continues to the bit`, async () => {
    const whole = await train(SparseTrainer, spec, { steps: 60 });
    assert.deepEqual(await train(SparseTrainer, spec, { steps: 60, threads: 3 }), whole);
    for (const cut of [7, 41]) {
      const first = await train(SparseTrainer, spec, { steps: cut });
      const rest = await train(SparseTrainer, spec, { steps: 60 - cut, from: cut, start: { kind: 'resume', state: first.state }, threads: 2 });
      assert.deepEqual(rest.stats, whole.stats.slice(cut));
      assert.deepEqual(rest.state, whole.state);
    }
  });
}

test('evaluation is the read graph’s, with vectors that fill no batch, and changes nothing', async () => {
  for (const spec of [specOf('topk', k), specOf('topk', k, { transcoder: true, skip: true, dOut: 13 }), specOf('batchtopk', k), specOf('tied', {}), specOf('untied', { sparsity: 0.05 })]) {
    const state = new Map(trainableArchitecture(spec.architecture).initialState(spec, draw(spec.dOut, 9)));
    if (spec.architecture === 'untied') state.set('encoderBias', { shape: [301], data: new Float32Array(301).fill(-2) });
    const start = { kind: 'resume', state } as const;
    const [sparse, graph] = [await SparseTrainer.open(spec, 2, start), await OrtTrainer.open(spec, 1, start)];
    const read = async (trainer: SparseTrainer | OrtTrainer) => trainer.evaluate(draw(173 * 19, 4), spec.transcoder ? draw(173 * spec.dOut, 5) : undefined);
    const [found, expected] = [await read(sparse), await read(graph)];
    assert.equal(found.vectors, 173);
    assert.ok(Math.abs(found.squaredError / expected.squaredError - 1) < 1e-5, spec.architecture);
    assert.deepEqual(found.firings, expected.firings);
    assert.deepEqual(await read(sparse), found);
    assert.deepEqual(sparse.state(), state);
    await sparse.close();
    await graph.close();
  }
});

test('a state moves between the two ways', async () => {
  const spec = specOf('topk', dying);
  const whole = await train(OrtTrainer, spec, { steps: 30 });
  const first = await train(SparseTrainer, spec, { steps: 15 });
  const rest = await train(OrtTrainer, spec, { steps: 15, from: 15, start: { kind: 'resume', state: first.state } });
  assert.ok(Math.abs(rest.stats.at(-1)!.loss / whole.stats.at(-1)!.loss - 1) < 1e-5);
});

test('dead features are resampled in both ways on the same step and vectors', async () => {
  const spec = specOf('untied', { sparsity: 0.05, resampleSteps: 4 });
  const state = new Map(trainableArchitecture('untied').initialState(spec, new Float32Array(19)));
  state.set('encoderBias', { shape: [301], data: new Float32Array(301).map((_, j) => (j < 20 ? -100 : -2)) });
  const start = { kind: 'resume', state } as const;
  const sparse = await train(SparseTrainer, spec, { steps: 5, start });
  const graph = await train(OrtTrainer, spec, { steps: 5, start });
  for (const { stats, state: after } of [sparse, graph]) {
    assert.equal(stats.length, 5);
    assert.ok(after.get('encoderBias')!.data.subarray(0, 20).every((bias) => Math.abs(bias) < 1), 'all twenty live again');
    assert.ok(after.get('encoderBias')!.data.subarray(20).every((bias) => bias < -1), 'the others were left alone');
  }
  sparse.state.get('encoder')!.data.forEach((value, i) => assert.ok(Math.abs(value - graph.state.get('encoder')!.data[i]) < 1e-4));
});

test('settings no sparse step exists for are left to the graph', () => {
  assert.ok(!sparseSupports(specOf('topk', { k: 200 })));
  assert.ok(!sparseSupports(specOf('jumprelu', {})));
});

test('memory is the state, a few batches and rooms that do not grow with F', () => {
  const room = (architecture: 'topk' | 'tied', F: number): number => {
    const spec = specOf(architecture, architecture === 'topk' ? { k: 32 } : {}, { dIn: 512, dOut: 512, nFeatures: F, batchSize: 2048 });
    const state = 3 * F * (architecture === 'topk' ? 1024 : 512);
    return planSparse({ spec, threads: 2, tensors: [['state', state]] }).bytes - 4 * state;
  };
  const batch = 4 * 2048 * 512;
  assert.ok(room('topk', 65536) < 2 * batch + (48 << 20), `${room('topk', 65536) >> 20} MiB beside the state`);
  assert.ok(room('tied', 65536) < 2 * batch + (80 << 20), `${room('tied', 65536) >> 20} MiB beside the state`);
  // What grows with F are counts and offsets of features, not rows.
  for (const architecture of ['topk', 'tied'] as const) assert.ok(room(architecture, 131072) - room(architecture, 65536) < 64 * 65536);
});
