import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OrtTrainer } from '../../../src/adapters/ort/ortTrainer.ts';
import { resolveHyperparameters } from '../../../src/dictionary/hyperparameters.ts';
import { untied } from '../../../src/dictionary/untied.ts';
import type { TrainerSpec } from '../../../src/domain/training.ts';
import { Rng } from '../../../src/math/rng.ts';
import type { StepStats, TrainerState } from '../../../src/ports/TrainingEngine.ts';

const sizes = { dIn: 7, dOut: 5, nFeatures: 21, batchSize: 12, totalSteps: 40 };
const hyper = resolveHyperparameters(untied, sizes, { sparsity: 0.05, learningRate: 1e-2, resampleSteps: 9, warmupSteps: 4 });
const spec: TrainerSpec = { architecture: 'untied', ...sizes, transcoder: true, skip: true, hyper, seed: 3 };

async function train(stepsPerRun: number, calls: readonly number[]): Promise<{ stats: StepStats[]; state: TrainerState }> {
  const trainer = await OrtTrainer.open(spec, 1, { kind: 'fresh', centre: new Float32Array(5) }, 'cpu', stepsPerRun);
  const rng = new Rng(8);
  const draw = (n: number): Float32Array => Float32Array.from({ length: n }, () => rng.normal());
  const stats: StepStats[] = [];
  const total = calls.reduce((sum, n) => sum + n, 0);
  const [x, y] = [draw(total * 12 * 7), draw(total * 12 * 5)];
  let at = 0;
  for (const n of calls) {
    stats.push(...(await trainer.steps(x.slice(at * 84, (at + n) * 84), y.slice(at * 60, (at + n) * 60))));
    at += n;
  }
  const state = trainer.state();
  await trainer.close();
  return { stats, state };
}

test('several steps in one run are the single steps, around resampling and at the ends of calls', async () => {
  const single = await train(1, [30]);
  const several = await train(4, [13, 2, 15]);
  assert.equal(several.stats.length, 30);
  for (const [i, { loss, l0 }] of single.stats.entries()) {
    assert.ok(Math.abs(several.stats[i].loss / loss - 1) < 1e-5, `loss of step ${i}`);
    assert.ok(Math.abs(several.stats[i].l0 - l0) < 1e-5, `l0 of step ${i}`);
  }
  for (const [name, { data }] of single.state) {
    several.state.get(name)!.data.forEach((value, i) => assert.ok(Math.abs(value - data[i]) < 1e-5, `${name}[${i}]`));
  }
});
