import { CallerError } from '../domain/errors.ts';
import type { TrainerSpec } from '../domain/training.ts';
import type { Value } from '../onnx/graphBuilder.ts';
import type { StepGraph, TrainableArchitecture, TrainingState } from './architecture.ts';
import { checkActive, withAuxiliary } from './auxiliary.ts';
import { batchCodes, batchParameters, batchScalars, thresholdDefaults, UNTRACKED } from './batchCodes.ts';
import { assembleGradients, declareLinear, initialLinear } from './linear.ts';
import { freshState } from './state.ts';
import { StepBuilder } from './stepBuilder.ts';
import { activeDefaults } from './topk.ts';

/**
 * The Matryoshka BatchTopK autoencoder (Bussmann et al. 2025, arXiv 2503.17547, section 3): the features lie in G groups, and
 * every prefix of groups must reconstruct by itself, so that the first ones stay general. Codes of batchCodes.ts; c_≤q, W_≤q
 * are those of the first q groups:
 *
 *     x̂_q = c_≤q·W_≤q + b′ (+ x·Sᵀ)        e_q = x̂_q − target
 *     L = (1/G) Σ_q mean_{B,D} e_q²  +  L_aux of auxiliary.ts, on e_G
 *
 * Backward: g_q = 2/(G·B·D)·e_q and s_q = Σ_{r≥q} g_r, for a feature of group q works in every prefix from q on:
 *
 *     dh of group q = (s_q·W_qᵀ) ⊙ [c > 0]        dW_q = c_qᵀ s_q        g of linear.ts = s_1
 *
 * Scale: the paper sums over the groups, dictionary_learning's MatryoshkaBatchTopKTrainer weighs each 1/G and then takes the
 * mean, 1/G²; the mean here keeps the loss comparable with the other architectures', for any G. In the paper's terms L_aux has
 * the coefficient G·auxCoefficient, in the library's auxCoefficient/G: the default 1/32 lies between. Otherwise as in topk.ts.
 * `mse` is that of e_G.
 *
 * Defaults as in batchtopk.ts; groups that double in size as in the paper's experiments, here 1/32, 1/16, 1/8, 1/4 and the rest.
 */
export const matryoshka: TrainableArchitecture = {
  name: 'matryoshka',
  transcoder: true,

  defaults: (sizes) => ({
    ...activeDefaults(sizes),
    ...thresholdDefaults(sizes),
    groupShares: sizes.nFeatures >= 32 ? [1 / 32, 1 / 16, 1 / 8, 1 / 4, 17 / 32] : [1],
  }),

  check(spec: TrainerSpec): void {
    checkActive(spec);
    if (groupSizes(spec).some((size) => size < 1)) {
      throw new CallerError('BAD_INPUT', `groupShares: ${spec.hyper.groupShares.join(', ')} of ${spec.nFeatures} features leave a group empty; expected at least one feature in each`);
    }
  },

  initialState: (spec: TrainerSpec, centre: Float32Array): TrainingState => freshState(spec.nFeatures, initialLinear(spec, centre), UNTRACKED),

  stepGraph(spec: TrainerSpec): StepGraph {
    const { batchSize: B, dOut } = spec;
    const step = new StepBuilder('matryoshka-step', spec);
    const { add, sub, mul, gemm, isPositive, split, concat, reduceSum, reduceSumSquare } = step.ops;
    const linear = declareLinear(step, spec);
    const sizes = groupSizes(spec);
    const G = sizes.length;

    const { c, positive, threshold } = batchCodes(step, spec, linear.h);
    const codes = split(c, sizes, 1);
    const decoders = split(linear.decoder, sizes, 0);
    const offset = sub(linear.decoderBias, step.target);
    let prefix: Value = linear.skip === null ? offset : gemm(step.x, linear.skip, { transB: true, c: offset });
    const errors = codes.map((code, q) => (prefix = gemm(code, decoders[q]!, { c: prefix }))); // e_1 … e_G [B, dOut]
    const means = errors.map((error) => mul(reduceSumSquare(error), 1 / (B * dOut)));
    const on = isPositive(c);
    const fired = reduceSum(on, [0], false);

    const suffix: Value[] = [];
    for (let q = G - 1; q >= 0; q--) {
      const g = mul(errors[q]!, 2 / (G * B * dOut));
      suffix[q] = q === G - 1 ? g : add(suffix[q + 1]!, g);
    }
    const dc = concat(suffix.map((s, q) => gemm(s, decoders[q]!, { transB: true })), 1);
    const dh = mul(dc, on);
    const { auxiliaryLoss, ...core } = withAuxiliary(step, spec, linear, {
      e: errors[G - 1]!,
      positive,
      fired,
      core: (ops) => ({
        encoder: ops.gemm(dh, linear.input, { transA: true }),
        sumDh: ops.reduceSum(dh, [0], false),
        decoder: ops.concat(codes.map((code, q) => ops.gemm(code, suffix[q]!, { transA: true })), 0),
      }),
    });
    const main = mul(means.reduce((sum, mean) => add(sum, mean)), 1 / G);
    const loss = auxiliaryLoss === null ? main : add(main, auxiliaryLoss);
    return step.finish({ gradients: assembleGradients(step, spec, linear, core, suffix[0]!), buffers: { threshold }, fired, loss, mse: means[G - 1]! });
  },

  scalars: batchScalars,
  parameters: batchParameters,
};

/** Features in each group: shares rounded down, the last group takes the rest. */
export function groupSizes({ nFeatures: F, hyper: { groupShares } }: TrainerSpec): number[] {
  const sizes = groupShares.slice(0, -1).map((share) => Math.floor(share * F));
  return [...sizes, F - sizes.reduce((sum, size) => sum + size, 0)];
}
