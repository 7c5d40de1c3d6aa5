import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { trainableArchitecture } from '../../src/dictionary/registry.ts';
import { adamScalars } from '../../src/dictionary/schedule.ts';
import type { TrainingState } from '../../src/dictionary/architecture.ts';
import type { TrainableArchitecture } from '../../src/domain/dictionary.ts';
import type { Hyperparameters, TrainerSpec } from '../../src/domain/training.ts';
import { distance, runSteps } from './graphRunner.ts';
import { specOf } from './specOf.ts';

interface Case {
  readonly name: string;
  readonly architecture: TrainableArchitecture;
  readonly source: string;
  readonly transcoder: boolean;
  readonly target: 'x' | 'y';
  readonly skip: boolean;
  readonly warmupFromZero: boolean;
  readonly hyper: Partial<Hyperparameters>;
  readonly start: Readonly<Record<string, number[]>>;
  readonly losses: readonly number[];
  readonly final: Readonly<Record<string, number[]>>;
}

interface Fixture {
  readonly tolerance: { readonly loss: number; readonly parameters: number };
  readonly B: number;
  readonly D: number;
  readonly F: number;
  readonly dOut: number;
  readonly steps: number;
  readonly x: number[];
  readonly y: number[];
  readonly cases: readonly Case[];
}

const fixture = JSON.parse(await readFile(new URL('../fixtures/dictionary/sae_trainers.json', import.meta.url), 'utf8')) as Fixture;

/** The architecture's scalars with the warm-ups of a library that counts steps from 0: (t − 1)/n instead of t/n. */
function warmupsFromZero(scalars: (spec: TrainerSpec, step: number) => Readonly<Record<string, number>>) {
  return (spec: TrainerSpec, step: number): Readonly<Record<string, number>> => {
    const { warmupSteps, sparsity, sparsityWarmupSteps } = spec.hyper;
    const share = (steps: number, at: number): number => (steps === 0 ? 1 : Math.min(1, at / steps));
    const found = { ...scalars(spec, step), stepSize: (adamScalars(spec, step).stepSize * share(warmupSteps, step - 1)) / share(warmupSteps, step) };
    return 'sparsity' in found ? { ...found, sparsity: sparsity * share(sparsityWarmupSteps, step - 1) } : found;
  };
}

for (const example of fixture.cases) {
  test(`PyTorch, ${example.source}, ${example.name}: the graph takes the same ${fixture.steps} steps`, async () => {
    const { B, D, F, tolerance } = fixture;
    const dOut = example.target === 'y' ? fixture.dOut : D;
    const spec = specOf(example.architecture, { B, D, F, ...(example.transcoder ? { dOut } : {}), skip: example.skip, totalSteps: fixture.steps }, example.hyper);
    const architecture = trainableArchitecture(example.architecture);
    const start: TrainingState = new Map(
      [...architecture.initialState(spec, new Float32Array(dOut))].map(([name, tensor]) => {
        const given = example.start[name];
        return [name, given === undefined ? tensor : { shape: tensor.shape, data: Float32Array.from(given) }];
      }),
    );
    const x = Float32Array.from(fixture.x);
    const run = (changed: TrainerSpec) =>
      runSteps(architecture, changed, start, x, {
        ...(example.transcoder ? { y: example.target === 'x' ? x : Float32Array.from(fixture.y) } : {}),
        ...(example.warmupFromZero ? { scalars: warmupsFromZero(architecture.scalars) } : {}),
      });
    const { state, stats } = await run(spec);
    example.losses.forEach((loss, i) => assert.ok(Math.abs(stats[i]!.loss / loss - 1) < tolerance.loss, `loss of step ${i + 1}: ${stats[i]!.loss}, expected ${loss}`));
    for (const [name, expected] of Object.entries(example.final)) {
      const error = distance(state.get(name)!.data, expected);
      assert.ok(error < tolerance.parameters, `${name}: relative error ${error}`);
      // The steps must have moved it by far more than the tolerance, or the comparison says nothing.
      if (name in example.start) assert.ok(distance(expected, example.start[name]!) > 50 * tolerance.parameters, `${name} hardly moved`);
    }
    // So must each of these: without it the steps lead elsewhere.
    for (const part of ['clipNorm', 'auxCoefficient', 'sparsity'] as const) {
      if (spec.hyper[part] === 0) continue;
      const without = await run({ ...spec, hyper: { ...spec.hyper, [part]: 0 } });
      const moved = Math.max(...Object.keys(example.final).map((name) => distance(without.state.get(name)!.data, example.final[name]!)));
      assert.ok(moved > 10 * tolerance.parameters, `${part} made a difference of ${moved}`);
    }
  });
}
