import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openTrainingEngine } from '../../../src/adapters/ort/trainerEngine.ts';
import { resolveHyperparameters } from '../../../src/dictionary/hyperparameters.ts';
import { tied } from '../../../src/dictionary/tied.ts';
import type { TrainerSpec } from '../../../src/domain/training.ts';
import { Rng } from '../../../src/math/rng.ts';
import type { TrainerStart, TrainingEngine } from '../../../src/ports/TrainingEngine.ts';

const sizes = { dIn: 24, dOut: 24, nFeatures: 64, batchSize: 32, totalSteps: 50 };
const spec: TrainerSpec = { architecture: 'tied', ...sizes, transcoder: false, skip: false, hyper: resolveHyperparameters(tied, sizes, { sparsity: 1e-3 }), seed: 5 };
const fresh: TrainerStart = { kind: 'fresh', centre: new Float32Array(24) };

function vectors(steps: number, seed: number): Float32Array {
  const rng = new Rng(seed);
  return Float32Array.from({ length: steps * spec.batchSize * spec.dIn }, () => rng.normal());
}

async function withEngine<T>(workers: number, use: (engine: TrainingEngine) => Promise<T>): Promise<T> {
  const engine = openTrainingEngine({ workers, threadsPerWorker: 1 });
  try {
    return await use(engine);
  } finally {
    await engine.close();
  }
}

test('training lowers the loss, and restoring the state continues to the bit', async () => {
  await withEngine(1, async (engine) => {
    const whole = await engine.create(spec, fresh);
    const stats = [...(await whole.steps(vectors(30, 1))), ...(await whole.steps(vectors(20, 2)))];
    assert.equal(stats.length, 50);
    assert.ok(stats.at(-1)!.loss < 0.8 * stats[0]!.loss, `${stats[0]!.loss} to ${stats.at(-1)!.loss}`);

    const first = await engine.create(spec, fresh);
    await first.steps(vectors(30, 1));
    const saved = await first.state();
    assert.equal(saved.get('step')?.data[0], 30);
    await first.close();
    const second = await engine.create(spec, { kind: 'resume', state: saved });
    const resumed = await second.steps(vectors(20, 2));
    assert.deepEqual(resumed, stats.slice(30));
    assert.deepEqual(await second.state(), await whole.state());
  });
});

test('how many workers there are changes no bit', async () => {
  const train = (workers: number) =>
    withEngine(workers, async (engine) => {
      const trainers = await Promise.all([1, 2, 3].map((seed) => engine.create({ ...spec, seed }, fresh)));
      await Promise.all(trainers.map((trainer, i) => trainer.steps(vectors(10, i))));
      return await Promise.all(trainers.map((trainer) => trainer.state()));
    });
  const one = await train(1);
  assert.deepEqual(await train(3), one);
  assert.notDeepEqual(one[0], one[1]);
});

test('how many threads work on a step changes no bit, and closing ends them', async () => {
  const train = async (threadsPerWorker: number) => {
    const engine = openTrainingEngine({ workers: 1, threadsPerWorker });
    const trainer = await engine.create(spec, fresh);
    const stats = await trainer.steps(vectors(10, 4));
    const state = await trainer.state();
    await engine.close();
    return { stats, state };
  };
  assert.deepEqual(await train(3), await train(1));
});

test('evaluate changes nothing and agrees with the training statistics', async () => {
  await withEngine(1, async (engine) => {
    const trainer = await engine.create({ ...spec, batchSize: 1500 }, fresh);
    const rng = new Rng(9);
    const batch = Float32Array.from({ length: 1500 * spec.dIn }, () => rng.normal());
    const sums = await trainer.evaluate(batch.slice());
    const before = await trainer.state();
    const [stats] = await trainer.steps(batch);
    assert.equal(before.get('step')?.data[0], 0);
    assert.equal(sums.vectors, 1500);
    assert.ok(Math.abs(sums.squaredError / (1500 * spec.dIn) / stats!.mse - 1) < 1e-5);
    assert.ok(Math.abs(sums.firings.reduce((a, b) => a + b) / 1500 - stats!.l0) < 1e-3);
  });
});

test('the event loop stays free while a step runs', async () => {
  await withEngine(1, async (engine) => {
    const trainer = await engine.create({ ...spec, dIn: 256, dOut: 256, nFeatures: 2048, batchSize: 512 }, { kind: 'fresh', centre: new Float32Array(256) });
    let turns = 0;
    let done = false;
    const count = (): void => {
      turns++;
      if (!done) setImmediate(count);
    };
    setImmediate(count);
    await trainer.steps(new Float32Array(4 * 512 * 256));
    done = true;
    assert.ok(turns > 100, `${turns} turns of the event loop during four steps`);
  });
});

test('vectors that are no whole batch, and architectures that cannot be trained, are refused', async () => {
  await withEngine(1, async (engine) => {
    const trainer = await engine.create(spec, fresh);
    await assert.rejects(trainer.steps(new Float32Array(10)), { name: 'InvariantError', message: /no whole batches/ });
    assert.equal((await trainer.steps(vectors(1, 1))).length, 1, 'the trainer goes on after a refused call');
    await assert.rejects(engine.create({ ...spec, architecture: 'nonsense' as 'tied' }, fresh), (error: unknown) => (error as { code?: string }).code === 'UNSUPPORTED');
  });
});

test('calls after close are refused', async () => {
  const engine = openTrainingEngine({ workers: 1, threadsPerWorker: 1 });
  const trainer = await engine.create(spec, fresh);
  await engine.close();
  await assert.rejects(trainer.state(), /closed/);
});
