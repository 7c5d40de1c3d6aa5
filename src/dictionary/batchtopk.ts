import type { TrainerSpec } from '../domain/training.ts';
import type { StepGraph, TrainableArchitecture, TrainingState } from './architecture.ts';
import { checkActive, withAuxiliary } from './auxiliary.ts';
import { batchCodes, batchParameters, batchScalars, thresholdDefaults, UNTRACKED } from './batchCodes.ts';
import { assembleGradients, declareLinear, initialLinear, reconstructionError } from './linear.ts';
import { freshState } from './state.ts';
import { StepBuilder } from './stepBuilder.ts';
import { activeDefaults } from './topk.ts';

/**
 * The BatchTopK autoencoder (Bussmann et al. 2024, arXiv 2412.06410): topk.ts with the codes of batchCodes.ts, so k active
 * features per vector on average, and more where a vector needs more.
 *
 *     c = the k·B largest of relu(h) of the batch        L = mean_{B,D} e²  +  L_aux of auxiliary.ts
 *
 * Backward: g = 2/(B·D)·e,  dh = (g·Wᵀ) ⊙ [c > 0],  dW = cᵀg, plus auxiliary.ts's; the rest in linear.ts.
 *
 * Scale and defaults as in topk.ts, the threshold's in batchCodes.ts.
 */
export const batchtopk: TrainableArchitecture = {
  name: 'batchtopk',
  transcoder: true,

  defaults: (sizes) => ({ ...activeDefaults(sizes), ...thresholdDefaults(sizes) }),
  check: checkActive,

  initialState: (spec: TrainerSpec, centre: Float32Array): TrainingState => freshState(spec.nFeatures, initialLinear(spec, centre), UNTRACKED),

  stepGraph(spec: TrainerSpec): StepGraph {
    const { batchSize: B, dOut } = spec;
    const step = new StepBuilder('batchtopk-step', spec);
    const { add, mul, gemm, isPositive, reduceSum } = step.ops;
    const linear = declareLinear(step, spec);

    const { c, positive, threshold } = batchCodes(step, spec, linear.h);
    const { e, mse } = reconstructionError(step, spec, linear, c);
    const on = isPositive(c);
    const fired = reduceSum(on, [0], false);

    const g = mul(e, 2 / (B * dOut));
    const dh = mul(gemm(g, linear.decoder, { transB: true }), on);
    const { auxiliaryLoss, ...core } = withAuxiliary(step, spec, linear, {
      e,
      positive,
      fired,
      core: (ops) => ({ encoder: ops.gemm(dh, linear.input, { transA: true }), sumDh: ops.reduceSum(dh, [0], false), decoder: ops.gemm(c, g, { transA: true }) }),
    });
    const loss = auxiliaryLoss === null ? mse : add(mse, auxiliaryLoss);
    return step.finish({ gradients: assembleGradients(step, spec, linear, core, g), buffers: { threshold }, fired, loss, mse });
  },

  scalars: batchScalars,
  parameters: batchParameters,
};
