import assert from 'node:assert/strict';
import { trainableArchitecture } from '../../src/dictionary/registry.ts';
import type { TrainerSpec } from '../../src/domain/training.ts';
import type { TrainerStart, TrainingEngine } from '../../src/ports/TrainingEngine.ts';
import { B, centre, D, data, F, specOf } from './trainingEngineData.ts';

/** Opens the engine under test with so many worker threads; the table closes it. */
export type OpenEngine = (workers: number) => Promise<TrainingEngine>;

async function withEngine<T>(open: OpenEngine, workers: number, use: (engine: TrainingEngine) => Promise<T>): Promise<T> {
  const engine = await open(workers);
  try {
    return await use(engine);
  } finally {
    await engine.close();
  }
}

const spec = specOf('untied', { learningRate: 3e-3 });
const transcoder = specOf('untied', { learningRate: 3e-3 }, { dOut: 12, skip: true });
const fresh = (of: TrainerSpec): TrainerStart => ({ kind: 'fresh', centre: centre(of) });
const codeOf = (error: unknown): unknown => (error as { code?: string }).code;

/** What every adapter of TrainingEngine must do. */
export const CASES: Readonly<Record<string, (open: OpenEngine) => Promise<void>>> = {
  'training lowers the loss, and restoring the state continues to the bit': (open) =>
    withEngine(open, 1, async (engine) => {
      for (const each of [spec, transcoder]) {
        const block = (steps: number, seed: number): [Float32Array, Float32Array | undefined] => {
          const { vectors, targets } = data(each, steps * B, seed);
          return [vectors, targets];
        };
        const whole = await engine.create(each, fresh(each));
        const stats = [...(await whole.steps(...block(40, 1))), ...(await whole.steps(...block(20, 2)))];
        assert.equal(stats.length, 60);
        assert.ok(stats.at(-1)!.mse < 0.8 * stats[0]!.mse, `${stats[0]!.mse} to ${stats.at(-1)!.mse}`);

        const first = await engine.create(each, fresh(each));
        await first.steps(...block(40, 1));
        const saved = await first.state();
        assert.equal(saved.get('step')?.data[0], 40);
        await first.close();
        const second = await engine.create(each, { kind: 'resume', state: saved });
        assert.deepEqual(await second.steps(...block(20, 2)), stats.slice(40));
        assert.deepEqual(await second.state(), await whole.state());
      }
    }),

  "the state has the architecture's names and shapes, and starts with its values": (open) =>
    withEngine(open, 1, async (engine) => {
      for (const each of [specOf('tied'), spec, transcoder]) {
        const trainer = await engine.create(each, fresh(each));
        const expected = trainableArchitecture(each.architecture).initialState(each, centre(each));
        const state = await trainer.state();
        assert.deepEqual([...state.keys()].sort(), [...expected.keys()].sort());
        for (const [name, tensor] of expected) assert.deepEqual(state.get(name), { shape: [...tensor.shape], data: tensor.data }, name);
      }
    }),

  'a state is a copy: later steps do not change it': (open) =>
    withEngine(open, 1, async (engine) => {
      const trainer = await engine.create(spec, fresh(spec));
      const before = await trainer.state();
      const encoder = before.get('encoder')!.data.slice();
      await trainer.steps(data(spec, B, 1).vectors);
      assert.deepEqual(before.get('encoder')!.data, encoder);
      assert.notDeepEqual((await trainer.state()).get('encoder')!.data, encoder);
    }),

  'how many workers there are changes no bit': async (open) => {
    const train = (workers: number): Promise<unknown[]> =>
      withEngine(open, workers, async (engine) => {
        const trainers = await Promise.all([1, 2, 3].map((seed) => engine.create({ ...spec, seed }, fresh(spec))));
        await Promise.all(trainers.map((trainer, i) => trainer.steps(data(spec, 10 * B, i).vectors)));
        return await Promise.all(trainers.map((trainer) => trainer.state()));
      });
    const one = await train(1);
    assert.deepEqual(await train(2), one);
    assert.notDeepEqual(one[0], one[1]);
  },

  'sinceFired counts vectors, and dead is the share over the limit': (open) =>
    withEngine(open, 1, async (engine) => {
      const each = specOf('untied', { deadVectors: 2 * B });
      const start = trainableArchitecture('untied').initialState(each, centre(each));
      start.get('encoderBias')!.data.fill(-1000, 0, 12); // these never fire
      const trainer = await engine.create(each, { kind: 'resume', state: start });
      const stats = await trainer.steps(data(each, 3 * B, 1).vectors);
      assert.equal(stats[0]!.dead, 0);
      assert.ok(Math.abs(stats[1]!.dead - 12 / F) < 1e-6 && Math.abs(stats[2]!.dead - 12 / F) < 1e-6, `${stats[1]!.dead}, ${stats[2]!.dead}`);
      assert.deepEqual([...(await trainer.state()).get('sinceFired')!.data], Array.from({ length: F }, (_, j) => (j < 12 ? 3 * B : 0)));
    }),

  'evaluate changes nothing and agrees with the statistics of a step': (open) =>
    withEngine(open, 1, async (engine) => {
      for (const each of [specOf('tied'), spec, transcoder]) {
        const n = 1500;
        const wide: TrainerSpec = { ...each, batchSize: n };
        const trainer = await engine.create(wide, fresh(wide));
        const { vectors, targets } = data(wide, n, 9);
        const sums = await trainer.evaluate(vectors.slice(), targets?.slice());
        const before = await trainer.state();
        const [stats] = await trainer.steps(vectors, targets);
        assert.equal(before.get('step')?.data[0], 0);
        assert.equal(sums.vectors, n);
        assert.ok(Math.abs(sums.squaredError / (n * wide.dOut) / stats!.mse - 1) < 1e-5);
        assert.ok(Math.abs(sums.firings.reduce((a, b) => a + b) / n - stats!.l0) < 2 / n);
      }
    }),

  'shared memory is read by several trainers, other buffers are handed over': (open) =>
    withEngine(open, 2, async (engine) => {
      const { vectors } = data(spec, 2 * B, 1);
      const shared = new Float32Array(new SharedArrayBuffer(vectors.byteLength));
      shared.set(vectors);
      const trainers = await Promise.all([1, 1].map((seed) => engine.create({ ...spec, seed }, fresh(spec))));
      const [a, b] = await Promise.all(trainers.map((trainer) => trainer.steps(shared)));
      assert.deepEqual(a, b);
      assert.equal((await trainers[0]!.evaluate(shared)).vectors, 2 * B);
      assert.deepEqual([...shared], [...vectors]);
      await trainers[0]!.steps(vectors);
      assert.equal(vectors.byteLength, 0);
    }),

  'the event loop stays free while a step runs': (open) =>
    withEngine(open, 1, async (engine) => {
      const wide: TrainerSpec = { ...specOf('tied'), dIn: 128, dOut: 128, nFeatures: 512, batchSize: 128 };
      const trainer = await engine.create(wide, fresh(wide));
      let turns = 0;
      let done = false;
      const count = (): void => {
        turns++;
        if (!done) setImmediate(count);
      };
      setImmediate(count);
      await trainer.steps(new Float32Array(4 * 128 * 128));
      done = true;
      assert.ok(turns > 20, `${turns} turns of the event loop during four steps`);
    }),

  'calls that do not fit the spec are refused, and the trainer goes on': (open) =>
    withEngine(open, 1, async (engine) => {
      const trainer = await engine.create(spec, fresh(spec));
      await assert.rejects(trainer.steps(new Float32Array(10)), { name: 'InvariantError', message: /no whole batches/ });
      await assert.rejects(trainer.steps(new Float32Array(B * D), new Float32Array(B * D)), { name: 'InvariantError', message: /targets/ });
      assert.equal((await trainer.steps(data(spec, B, 1).vectors)).length, 1);
      const other = await engine.create(transcoder, fresh(transcoder));
      await assert.rejects(other.steps(new Float32Array(B * D)), { name: 'InvariantError', message: /targets/ });
      await assert.rejects(other.evaluate(new Float32Array(B * D), new Float32Array(12)), { name: 'InvariantError', message: /as many targets as vectors/ });
      assert.equal((await other.steps(data(transcoder, B, 1).vectors, data(transcoder, B, 1).targets)).length, 1);
    }),

  'specs that cannot be trained, and incomplete states, are refused': (open) =>
    withEngine(open, 1, async (engine) => {
      const notTrained = { ...spec, architecture: 'pca' } as unknown as TrainerSpec;
      await assert.rejects(engine.create(notTrained, fresh(spec)), (error) => codeOf(error) === 'UNSUPPORTED');
      await assert.rejects(engine.create({ ...specOf('tied'), transcoder: true }, fresh(spec)), (error) => codeOf(error) === 'UNSUPPORTED');
      await assert.rejects(engine.create({ ...spec, batchSize: 0 }, fresh(spec)), (error) => codeOf(error) === 'BAD_INPUT');
      const partial = new Map(trainableArchitecture('untied').initialState(spec, centre(spec)));
      partial.delete('decoder.v');
      await assert.rejects(engine.create(spec, { kind: 'resume', state: partial }), { name: 'InvariantError', message: /decoder\.v/ });
    }),

  'calls after close are refused': async (open) => {
    const engine = await open(1);
    const closedTrainer = await engine.create(spec, fresh(spec));
    await closedTrainer.close();
    await assert.rejects(closedTrainer.state(), { name: 'InvariantError' });
    const trainer = await engine.create(spec, fresh(spec));
    await engine.close();
    await assert.rejects(trainer.state(), { name: 'OutsideError', message: /closed/ });
    await assert.rejects(engine.create(spec, fresh(spec)), { name: 'InvariantError', message: /closed/ });
  },
};
