import assert from 'node:assert/strict';
import { test } from 'node:test';
import { trainableArchitecture } from '../../src/dictionary/registry.ts';
import type { TrainableArchitecture } from '../../src/domain/dictionary.ts';
import type { Hyperparameters } from '../../src/domain/training.ts';
import { normaliseRows } from '../../src/math/normaliseRows.ts';
import { Rng } from '../../src/math/rng.ts';
import { runSteps } from './graphRunner.ts';
import { specOf } from './specOf.ts';

const [B, D, TRUE, F] = [256, 16, 24, 32];
/** Features active on one vector, on average. */
const ACTIVE = 2;

/** Sparse sums of TRUE random directions, scaled to norm √D on average, as training sees activations. */
function synthetic(n: number): { directions: Float32Array; x: Float32Array } {
  const rng = new Rng(11);
  const directions = normaliseRows(Float32Array.from({ length: TRUE * D }, () => rng.normal()), D, 1e-8);
  const x = new Float32Array(n * D);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < TRUE; j++) {
      if (rng.next() >= ACTIVE / TRUE) continue;
      const strength = 0.7 + 0.6 * rng.next();
      for (let d = 0; d < D; d++) x[i * D + d]! += strength * directions[j * D + d]!;
    }
  }
  const norm = Math.sqrt(x.reduce((sum, value) => sum + value * value, 0) / n);
  return { directions, x: x.map((value) => (value * Math.sqrt(D)) / norm) };
}

/** Mean over the true directions of the largest cosine with a decoder row. */
function recovered(decoder: Float32Array, directions: Float32Array): number {
  let sum = 0;
  for (let t = 0; t < TRUE; t++) {
    let best = -1;
    for (let j = 0; j < F; j++) {
      let dot = 0;
      for (let d = 0; d < D; d++) dot += decoder[j * D + d]! * directions[t * D + d]!;
      best = Math.max(best, dot);
    }
    sum += best / TRUE;
  }
  return sum;
}

// The sources' step sizes are for a thousand times as many steps.
const settings: readonly (readonly [TrainableArchitecture, Partial<Hyperparameters>])[] = [
  ['tied', { sparsity: 0.07, learningRate: 5e-3 }],
  ['untied', { sparsity: 0.1, learningRate: 5e-3 }],
  ['topk', { k: ACTIVE, learningRate: 5e-3 }],
  ['batchtopk', { k: ACTIVE, learningRate: 5e-3 }],
  ['matryoshka', { k: ACTIVE, learningRate: 5e-3, groupShares: [0.5, 0.5] }],
  ['jumprelu', { targetL0: ACTIVE, learningRate: 5e-3, bandwidth: 0.5, initialThreshold: 0.1 }],
  ['gated', { sparsity: 0.2, learningRate: 5e-3 }],
];

const STEPS = 2000;
const { directions, x } = synthetic(STEPS * B);

for (const [name, hyper] of settings) {
  test(`${name} finds the directions that sparse data is made of`, async () => {
    const architecture = trainableArchitecture(name);
    const spec = specOf(name, { B, D, F, totalSteps: STEPS }, { ...hyper, warmupSteps: 50, decaySteps: 500 });
    const start = architecture.initialState(spec, new Float32Array(D));
    const { state, stats } = await runSteps(architecture, spec, start, x, { stepsARun: 100 });
    const [before, after] = [start, state].map((each) => recovered(architecture.parameters(each, spec).decoder, directions));
    const { mse, l0, dead } = stats.at(-1)!;
    const found = `mean max cosine ${after!.toFixed(3)} (before ${before!.toFixed(3)}), mse ${mse.toFixed(3)}, l0 ${l0.toFixed(2)}, dead ${dead.toFixed(2)}`;
    assert.ok(before! < 0.75, found);
    assert.ok(after! > 0.9, found);
  });
}
