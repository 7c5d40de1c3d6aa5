import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TrainingState } from '../../src/dictionary/architecture.ts';
import { TRAINABLE } from '../../src/dictionary/registry.ts';
import type { Hyperparameters } from '../../src/domain/training.ts';
import { Rng } from '../../src/math/rng.ts';
import { distance, runSteps } from './graphRunner.ts';
import { doublesOf, naiveLoss, naiveThresholdGradient } from './naive.ts';
import { specOf } from './specOf.ts';

// Sizes that fill vector registers unevenly; half the features have been silent for long and read faintly: dead.
const [B, D, F, dOut] = [13, 7, 19, 5];
const SINCE = (j: number): number => (j % 2 === 0 ? 0 : 1000);

const variants: readonly { readonly architecture: (typeof TRAINABLE)[number]['name']; readonly name: string; readonly hyper: Partial<Hyperparameters> }[] = [
  { architecture: 'untied', name: '', hyper: { sparsity: 0.05, sparsityWarmupSteps: 0 } },
  { architecture: 'topk', name: ', no auxiliary loss', hyper: { k: 3, auxCoefficient: 0 } },
  { architecture: 'topk', name: ', some of the dead in the auxiliary loss', hyper: { k: 3, auxK: 2, auxCoefficient: 0.7, deadVectors: 500 } },
  { architecture: 'topk', name: ', auxK beyond the number of dead', hyper: { k: 3, auxK: 15, auxCoefficient: 0.7, deadVectors: 500 } },
  { architecture: 'topk', name: ', nothing dead', hyper: { k: 3, auxK: 2, auxCoefficient: 0.7, deadVectors: 5000 } },
  { architecture: 'batchtopk', name: '', hyper: { k: 3, auxK: 2, auxCoefficient: 0.7, deadVectors: 500 } },
  { architecture: 'matryoshka', name: '', hyper: { k: 3, auxK: 2, auxCoefficient: 0.7, deadVectors: 500, groupShares: [0.2, 0.3, 0.5] } },
  { architecture: 'jumprelu', name: ', target L0', hyper: { sparsity: 2, sparsityWarmupSteps: 0, targetL0: 3, bandwidth: 0.5 } },
  { architecture: 'jumprelu', name: ', plain L0', hyper: { sparsity: 0.1, sparsityWarmupSteps: 0, targetL0: 0, bandwidth: 0.5 } },
  { architecture: 'gated', name: '', hyper: { sparsity: 0.05, sparsityWarmupSteps: 0 } },
];

for (const { architecture, name, hyper } of variants) {
  for (const transcoder of [false, true]) {
    test(`${architecture}${name}${transcoder ? ', transcoder with a linear path' : ''}: gradients are the loss's central differences`, async () => {
      // After one step from zero moments m is (1 − β1) times the gradient.
      const beta1 = 0.5;
      const spec = specOf(architecture, { B, D, F, ...(transcoder ? { dOut, skip: true } : {}), seed: 3 }, { ...hyper, beta1, clipNorm: 0 });
      const rng = new Rng(4);
      const found = TRAINABLE.find((each) => each.name === architecture)!;
      const start: TrainingState = new Map(
        [...found.initialState(spec, new Float32Array(spec.dOut))].map(([key, tensor]) => [key, { shape: tensor.shape, data: startOf(key, tensor.data, rng, tensor.shape.at(-1)!) }]),
      );
      const x = Float32Array.from({ length: B * D }, () => rng.normal());
      const y = transcoder ? Float32Array.from({ length: B * dOut }, () => rng.normal()) : x;
      const { state, stats } = await runSteps(found, spec, start, x, transcoder ? { y } : {});

      const parameters = doublesOf(start);
      const frozen = { parameters: doublesOf(start), sinceFired: Float64Array.from(start.get('sinceFired')!.data) };
      const loss = () => naiveLoss(spec, parameters, x, y, frozen);
      assert.ok(Math.abs(stats[0]!.loss / loss() - 1) < 1e-5, `loss ${stats[0]!.loss}, expected ${loss()}`);
      if (architecture === 'topk' || architecture === 'batchtopk') {
        const dead = spec.hyper.auxCoefficient > 0 && spec.hyper.deadVectors <= 1000;
        if (dead) assert.ok(stats[0]!.loss > 1.05 * stats[0]!.mse, 'the auxiliary loss works');
        else assert.equal(stats[0]!.loss, stats[0]!.mse);
      }
      for (const [key, values] of Object.entries(parameters)) {
        const gradient = key === 'threshold' ? naiveThresholdGradient(spec, parameters, x, y) : differences(values, loss);
        if (key === 'decoder') removeAlong(gradient, values, spec.dOut);
        const graph = state.get(`${key}.m`)!.data.map((m) => m / (1 - beta1));
        assert.ok(distance(graph, gradient) < 2e-5, `${key}: ${distance(graph, gradient)}`);
        assert.ok(gradient.some((value) => Math.abs(value) > 1e-4), `${key} has no gradient to speak of`);
      }
    });
  }
}

function startOf(key: string, data: Float32Array, rng: Rng, width: number): Float32Array {
  if (key === 'sinceFired') return data.map((_, j) => SINCE(j));
  if (key === 'encoder') return data.map((_, i) => rng.normal() * 0.5 * (SINCE(Math.floor(i / width)) > 0 ? 0.1 : 1));
  if (key === 'threshold' && data.length === F) return data.map(() => 0.2 + 0.3 * rng.next());
  if (['encoderBias', 'decoderBias', 'skip', 'rescale', 'magnitudeBias'].includes(key)) return data.map(() => 0.1 * rng.normal());
  return data;
}

function differences(values: Float64Array, loss: () => number): Float64Array {
  const step = 1e-6;
  return Float64Array.from(values, (held, i) => {
    values[i] = held + step;
    const above = loss();
    values[i] = held - step;
    const below = loss();
    values[i] = held;
    return (above - below) / (2 * step);
  });
}

/** Takes from each row of the gradient its part along the row of length 1. */
function removeAlong(gradient: Float64Array, rows: Float64Array, width: number): void {
  for (let start = 0; start < rows.length; start += width) {
    let along = 0;
    for (let d = start; d < start + width; d++) along += gradient[d]! * rows[d]!;
    for (let d = start; d < start + width; d++) gradient[d]! -= along * rows[d]!;
  }
}
