import type { Hyperparameters, TrainerSpec, TrainingSizes } from '../domain/training.ts';
import type { Value } from '../onnx/graphBuilder.ts';
import type { DictionaryParameters, StepGraph, TrainableArchitecture, TrainingState } from './architecture.ts';
import { checkActive, withAuxiliary } from './auxiliary.ts';
import { atMostTenth } from './hyperparameters.ts';
import { assembleGradients, declareLinear, initialLinear, linearParameters, reconstructionError } from './linear.ts';
import { keepLargest } from './readGraph.ts';
import type { Linear } from './linear.ts';
import { adamScalars } from './schedule.ts';
import { freshState } from './state.ts';
import { StepBuilder } from './stepBuilder.ts';

/**
 * The TopK autoencoder (Gao et al. 2024, arXiv 2406.04093, sections 2.3 and 2.4, appendix A), with h, x̂, e of linear.ts:
 *
 *     c = the k largest of relu(h) of each vector, else 0        L = mean_{B,D} e²  +  L_aux of auxiliary.ts
 *
 * Backward: g = 2/(B·D)·e,  dh = (g·Wᵀ) ⊙ [c > 0],  dW = cᵀg, plus auxiliary.ts's; the rest in linear.ts.
 *
 * Scale: the authors' code divides the squared error by the variance, dictionary_learning's TopKTrainer sums it over D for
 * activations of mean squared norm 1. For activations of norm √D (expected-norm) the mean over D is the latter's number and
 * about the former's, so 1/32 for L_aux and 1 for the gradient's norm mean here what they mean there (but for the biases, whose
 * gradients are √D times smaller here). In other units, the library's loss is D times mean_{B,D} e²: divide its coefficient
 * and its clipping norm by D.
 *
 * Defaults: Adam at 2e-4/√(F/2¹⁴) with ε 6.25e-10, gradient clipped to norm 1, auxK = D/2, 1/32; TopKTrainer's 1000 steps
 * of warm-up (at most a tenth of the run). A feature is dead after 10⁷ vectors, or a tenth of the run if that is less: in a
 * short run nothing would ever be. A feature has fired where its code is positive (TopKTrainer: where it is among the k, even
 * at 0). Inference keeps k per vector as training does (TopKTrainer tracks a threshold beside).
 */
export const topk: TrainableArchitecture = {
  name: 'topk',
  transcoder: true,

  defaults: activeDefaults,
  check: checkActive,

  initialState: (spec: TrainerSpec, centre: Float32Array): TrainingState => freshState(spec.nFeatures, initialLinear(spec, centre)),

  stepGraph(spec: TrainerSpec): StepGraph {
    const step = new StepBuilder('topk-step', spec);
    const linear = declareLinear(step, spec);
    const positive = step.ops.relu(linear.h);
    const c = keepLargest(step.g, positive, spec.hyper.k);
    return activeStep(step, spec, linear, { c, positive });
  },

  scalars: adamScalars,

  parameters: (state: TrainingState, spec: TrainerSpec): DictionaryParameters => ({ ...linearParameters(state, spec), k: spec.hyper.k }),
};

/** Everything after the codes c [B, F], the same however they were selected from `positive` = relu(h); batchtopk's too. */
export function activeStep(step: StepBuilder, spec: TrainerSpec, linear: Linear, { c, positive }: { readonly c: Value; readonly positive: Value }, buffers: Readonly<Record<string, Value>> = {}): StepGraph {
  const { batchSize: B, dOut } = spec;
  const { add, mul, gemm, isPositive, reduceSum } = step.ops;
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
  return step.finish({ gradients: assembleGradients(step, spec, linear, core, g), buffers, fired, loss, mse });
}

/** Defaults that topk, batchtopk and matryoshka have in common. */
export function activeDefaults(sizes: TrainingSizes): Partial<Hyperparameters> {
  const { dIn, nFeatures: F, batchSize, totalSteps } = sizes;
  return {
    learningRate: 2e-4 / Math.sqrt(F / 2 ** 14),
    epsilon: 6.25e-10,
    warmupSteps: atMostTenth(1000, sizes),
    clipNorm: 1,
    k: Math.min(32, F),
    auxK: Math.max(1, Math.min(F, Math.floor(dIn / 2))),
    auxCoefficient: 1 / 32,
    deadVectors: Math.min(10_000_000, Math.max(1, Math.floor((totalSteps * batchSize) / 10))),
  };
}
