import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { OrtTrainer } from '../../../src/adapters/ort/ortTrainer.ts';
import { sparseSupports } from '../../../src/adapters/ort/sparse/trainer.ts';
import { openTrainingEngine } from '../../../src/adapters/ort/trainerEngine.ts';
import { TFJS_LOSSES } from '../../../src/adapters/tfjs/losses/registry.ts';
import { openTfjsTrainingEngine } from '../../../src/adapters/tfjs/trainingEngine.ts';
import { TRAINABLE, trainableArchitecture } from '../../../src/dictionary/registry.ts';
import type { TrainerSpec } from '../../../src/domain/training.ts';
import type { EvaluationSums, StepStats, TrainerStart, TrainerState, TrainingEngine } from '../../../src/ports/TrainingEngine.ts';
import { B, centre, data, specOf, STEPS } from '../../contract/trainingEngineData.ts';
import { CASES, withoutCase } from './cases.ts';

/**
 * The graphs of src/dictionary and the sparse steps of src/adapters/ort, with gradients derived by hand, against
 * TensorFlow.js, which differentiates the forward losses of src/adapters/tfjs/losses. All compute in single precision and add
 * up in different orders.
 */
const CURVE_TOLERANCE = 1e-4;
/** Of the largest element of the same tensor. */
const GRADIENT_TOLERANCE = 5e-6;

type Engine = Pick<TrainingEngine, 'create'>;

let engine: TrainingEngine;
let tfjs: TrainingEngine;
before(async () => {
  engine = openTrainingEngine({ workers: 1, threadsPerWorker: 1 });
  tfjs = await openTfjsTrainingEngine({ workers: 1, backend: 'wasm' });
});
after(async () => {
  await engine.close();
  await tfjs.close();
});

/** The step graph on onnxruntime, in this thread: the engine itself takes sparse steps where it can. */
const graphs: Engine = {
  async create(spec, start) {
    const trainer = await OrtTrainer.open(spec, 1, start);
    return {
      spec,
      steps: (vectors, targets) => trainer.steps(vectors, targets),
      evaluate: (vectors, targets) => trainer.evaluate(vectors, targets),
      state: async () => trainer.state(),
      close: () => trainer.close(),
    };
  },
};

/** Ways of taking steps by hand-derived gradients, and the cases each is for. */
const BY_HAND: readonly { readonly way: string; readonly open: () => Engine; readonly supports: (spec: TrainerSpec) => boolean }[] = [
  { way: 'step graph', open: () => graphs, supports: () => true },
  { way: 'sparse steps', open: () => engine, supports: sparseSupports },
];

interface Outcome {
  readonly stats: readonly StepStats[];
  readonly state: TrainerState;
}

async function take(engine: Engine, spec: TrainerSpec, start: TrainerStart, steps: number, seed: number): Promise<Outcome> {
  const trainer = await engine.create(spec, start);
  const { vectors, targets } = data(spec, steps * B, seed);
  const stats = await trainer.steps(vectors, targets);
  const state = await trainer.state();
  await trainer.close();
  return { stats, state };
}

/** Largest difference of two lists over the largest element of either. */
function difference(a: Float32Array, b: Float32Array): number {
  assert.equal(a.length, b.length);
  let largest = 0;
  let apart = 0;
  a.forEach((value, i) => {
    largest = Math.max(largest, Math.abs(value), Math.abs(b[i]!));
    apart = Math.max(apart, Math.abs(value - b[i]!));
  });
  assert.ok(!Number.isNaN(apart));
  return largest === 0 ? 0 : apart / largest;
}

const fresh = (spec: TrainerSpec): TrainerStart => ({ kind: 'fresh', centre: centre(spec) });
const resume = (state: TrainerState): TrainerStart => ({ kind: 'resume', state });

test('every architecture has a loss here and a case below', () => {
  const names = TRAINABLE.map(({ name }) => name).sort();
  assert.deepEqual(TFJS_LOSSES.map(({ name }) => name).sort(), names);
  assert.deepEqual(withoutCase(names), []);
  const sparse = CASES.filter(({ spec }) => sparseSupports(spec)).map(({ spec }) => spec.architecture);
  assert.deepEqual([...new Set(sparse)].sort(), ['batchtopk', 'matryoshka', 'tied', 'topk', 'untied'], 'architectures with sparse steps have cases that take them');
});

const TABLE = BY_HAND.flatMap(({ way, open, supports }) => CASES.filter(({ spec }) => supports(spec)).map((each) => ({ way, open, ...each })));
const curves = new Map<string, Promise<Outcome>>(); // one by automatic gradients for all ways

for (const { way, open, name, spec } of TABLE) {
  describe(`${way}: ${name}`, () => {
    let ort: Engine;
    before(() => {
      ort = open();
    });

    test(`loss, mse, l0 and dead agree within ${CURVE_TOLERANCE} over ${STEPS} steps`, async () => {
      const automatic = curves.get(name) ?? take(tfjs, spec, fresh(spec), STEPS, 2);
      curves.set(name, automatic);
      const b = await automatic;
      const a = await take(ort, spec, fresh(spec), STEPS, 2);
      assert.ok(a.stats.at(-1)!.mse < 0.9 * a.stats[0]!.mse, `it learns: ${a.stats[0]!.mse} to ${a.stats.at(-1)!.mse}`);
      if (spec.hyper.auxCoefficient > 0) assert.ok(a.stats.filter(({ dead }) => dead > 0).length > STEPS / 4, 'the auxiliary loss has dead features to work with');
      a.stats.forEach((stats, i) => {
        for (const key of ['loss', 'mse', 'l0', 'dead'] as const) {
          const [left, right] = [stats[key], b.stats[i]![key]];
          const tolerance = key === 'l0' ? 2 / B : CURVE_TOLERANCE * Math.abs(left); // an activation at 0 may fall on either side
          assert.ok(Math.abs(left - right) <= tolerance, `${key} of step ${i + 1}: ${left} and ${right}`);
        }
      });
    });

    test('gradients by hand are the automatic ones, at the start and after 30 steps', async () => {
      const once: TrainerSpec = { ...spec, hyper: { ...spec.hyper, beta1: 0 } }; // so that the first moment is the gradient
      const trained = await take(ort, spec, fresh(spec), 30, 3);
      for (const start of [fresh(spec), resume(trained.state)]) {
        const [a, b] = [await take(ort, once, start, 1, 4), await take(tfjs, once, start, 1, 4)];
        if (start.kind === 'resume' && spec.hyper.auxCoefficient > 0) assert.ok(a.stats[0]!.dead > 0, 'dead features have gradients');
        assert.deepEqual([...b.state.keys()].sort(), [...a.state.keys()].sort());
        for (const [tensor, { data: gradient, shape }] of a.state) {
          assert.deepEqual(b.state.get(tensor)!.shape, shape);
          const apart = difference(gradient, b.state.get(tensor)!.data);
          if (tensor.endsWith('.m')) assert.ok(gradient.some((value) => value !== 0), `${tensor} is not all zero`);
          if (tensor.endsWith('.m') || tensor === 'sinceFired' || tensor === 'step') assert.ok(apart <= GRADIENT_TOLERANCE, `${tensor}: ${apart}`);
        }
      }
    });

    test('a state moves between the engines', async () => {
      const half = await take(ort, spec, fresh(spec), 10, 5);
      const forth = await take(tfjs, spec, resume(half.state), 10, 6);
      const back = await take(ort, spec, resume(forth.state), 10, 7);
      const alone = await take(ort, spec, resume((await take(ort, spec, resume(half.state), 10, 6)).state), 10, 7);
      assert.equal(back.state.get('step')!.data[0], 30);
      for (const [tensor, { data: values }] of alone.state) {
        const apart = difference(values, back.state.get(tensor)!.data);
        assert.ok(apart <= 1e-4, `${tensor}: ${apart}`);
      }
      back.stats.forEach(({ loss }, i) => assert.ok(Math.abs(loss / alone.stats[i]!.loss - 1) < CURVE_TOLERANCE));
    });

    test('evaluate agrees', async () => {
      const { state } = await take(ort, spec, fresh(spec), 30, 8);
      const sums: EvaluationSums[] = [];
      for (const either of [ort, tfjs]) {
        const trainer = await either.create(spec, resume(state));
        const { vectors, targets } = data(spec, 1500, 9);
        sums.push(await trainer.evaluate(vectors, targets));
        assert.deepEqual(await trainer.state(), state, 'evaluation changes nothing');
      }
      const [a, b] = sums;
      assert.equal(b!.vectors, 1500);
      assert.ok(Math.abs(b!.squaredError / a!.squaredError - 1) < 1e-5, `${a!.squaredError} and ${b!.squaredError}`);
      const apart = a!.firings.reduce((sum, count, j) => sum + Math.abs(count - b!.firings[j]!), 0);
      assert.ok(apart <= 2, `${apart} activations differ`); // an activation at its threshold may fall on either side
    });
  });
}

const RESAMPLED: readonly TrainerSpec[] = [
  specOf('tied', { resampleSteps: 20, deadVectors: 11 * B }),
  specOf('untied', { resampleSteps: 20, deadVectors: 11 * B }),
  specOf('untied', { resampleSteps: 20, deadVectors: 11 * B }, { dOut: 12 }),
];

for (const { way, open, supports } of BY_HAND) {
  for (const spec of RESAMPLED.filter(supports)) {
    test(`${way}: dead features of ${spec.architecture}${spec.transcoder ? ' transcoder' : ''} are resampled alike`, async () => {
      const start = trainableArchitecture(spec.architecture).initialState(spec, centre(spec));
      start.get(spec.architecture === 'tied' ? 'bias' : 'encoderBias')!.data.fill(-1000, 5, 17); // these are silent
      const [a, b] = [await take(open(), spec, resume(start), 25, 11), await take(tfjs, spec, resume(start), 25, 11)];
      assert.deepEqual([a.stats[19]!.dead, a.stats[20]!.dead], [Math.fround(12 / 48), 0]);
      a.stats.forEach(({ loss, dead }, i) => assert.ok(Math.abs(b.stats[i]!.loss / loss - 1) < CURVE_TOLERANCE && b.stats[i]!.dead === dead, `step ${i + 1}`));
      for (const [tensor, { data: values }] of a.state) assert.ok(difference(values, b.state.get(tensor)!.data) <= 1e-4, tensor);
    });
  }
}
