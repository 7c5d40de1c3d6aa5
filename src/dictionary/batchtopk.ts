import type { TrainerSpec } from '../domain/training.ts';
import type { StepGraph, TrainableArchitecture, TrainingState } from './architecture.ts';
import { checkActive } from './auxiliary.ts';
import { batchCodes, batchParameters, batchScalars, thresholdDefaults, UNTRACKED } from './batchCodes.ts';
import { declareLinear, initialLinear } from './linear.ts';
import { freshState } from './state.ts';
import { StepBuilder } from './stepBuilder.ts';
import { activeDefaults, activeStep } from './topk.ts';

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
    const step = new StepBuilder('batchtopk-step', spec);
    const linear = declareLinear(step, spec);
    const { c, positive, threshold } = batchCodes(step, spec, linear.h);
    return activeStep(step, spec, linear, { c, positive }, { threshold });
  },

  scalars: batchScalars,
  parameters: batchParameters,
};
