import type { TrainerSpec } from '../domain/training.ts';
import type { DictionaryParameters, StepGraph, TrainableArchitecture, TrainingState } from './architecture.ts';
import { atMostTenth } from './hyperparameters.ts';
import { declareLinear, initialLinear, linearGradients, linearParameters, reconstructionError } from './linear.ts';
import { adamScalars, sparsityAt } from './schedule.ts';
import { freshState } from './state.ts';
import { StepBuilder } from './stepBuilder.ts';

/**
 * The autoencoder with separate encoder and unit-norm decoder and an L1 penalty (Bricken et al. 2023, "Towards
 * Monosemanticity", appendix; Cunningham et al. 2023, eqs. 5–6), with h, x̂, e of linear.ts:
 *
 *     c = relu(h)        L = mean_{B,D} e²  +  sparsity · mean_B Σ_j c_j
 *
 * The squared error is averaged over D as in tied.ts; a source that sums it (dictionary_learning's StandardTrainer) means
 * sparsity·D. Schedule of StandardTrainer: Adam at 1e-3, 1000 steps of warm-up, 2000 of sparsity warm-up (at most a tenth of
 * the run each).
 *
 * Backward: g = 2/(B·D)·e,  dh = (g·Wᵀ + sparsity/B) ⊙ [c > 0]; the rest in linear.ts. Five B×D×F products.
 */
export const untied: TrainableArchitecture = {
  name: 'untied',
  transcoder: true,

  defaults: (sizes) => ({ learningRate: 1e-3, sparsity: 8e-3, warmupSteps: atMostTenth(1000, sizes), sparsityWarmupSteps: atMostTenth(2000, sizes), resampleSteps: 0 }),

  initialState: (spec: TrainerSpec, centre: Float32Array): TrainingState => freshState(spec.nFeatures, initialLinear(spec, centre)),

  stepGraph(spec: TrainerSpec): StepGraph {
    const { batchSize: B, dOut } = spec;
    const step = new StepBuilder('untied-step', spec);
    const { add, mul, gemm, relu, isPositive, reduceSum } = step.ops;
    const linear = declareLinear(step, spec);
    const sparsity = step.scalar('sparsity');

    const c = relu(linear.h);
    const { e, mse } = reconstructionError(step, spec, linear, c);
    const on = isPositive(c);
    const loss = add(mse, mul(mul(reduceSum(c), 1 / B), sparsity));

    const g = mul(e, 2 / (B * dOut));
    const dh = mul(gemm(g, linear.decoder, { transB: true, c: mul(sparsity, 1 / B) }), on);
    return step.finish({
      gradients: linearGradients(step, spec, linear, { decoderGradient: gemm(c, g, { transA: true }), g, dh }),
      fired: reduceSum(on, [0], false),
      loss,
      mse,
    });
  },

  scalars: (spec: TrainerSpec, step: number) => ({ sparsity: sparsityAt(spec, step), ...adamScalars(spec, step) }),

  parameters: (state: TrainingState, spec: TrainerSpec): DictionaryParameters => linearParameters(state, spec),
};
