import { CallerError } from '../domain/errors.ts';
import type { TrainerSpec } from '../domain/training.ts';
import type { DictionaryParameters, StepGraph, TrainableArchitecture, TrainingState } from './architecture.ts';
import { atMostTenth } from './hyperparameters.ts';
import { declareLinear, initialLinear, linearGradients, linearParameters, reconstructionError } from './linear.ts';
import { adamScalars, sparsityAt } from './schedule.ts';
import { freshState, stateData } from './state.ts';
import { StepBuilder } from './stepBuilder.ts';

/**
 * The JumpReLU autoencoder (Rajamanoharan et al. 2024, arXiv 2407.14435, sections 3 and 4), with h, x̂, e of linear.ts and a
 * threshold θ_j ≥ 0 for each feature:
 *
 *     c = h ⊙ [h > θ]        L0 = mean_B Σ_j [h_j > θ_j]
 *     L = mean_{B,D} e²  +  sparsity · (L0/targetL0 − 1)²        (targetL0 = 0: + sparsity · L0)
 *
 * Backward: g = 2/(B·D)·e,  dc = g·Wᵀ,  dh = dc ⊙ [h > θ]. L is piecewise constant in θ; its gradient is estimated straight
 * through with the rectangle kernel K(u) = [|u| < 1/2] of width ε = bandwidth:
 *
 *     dθ_j = −(1/ε) Σ_B K((h_j − θ_j)/ε) · (θ_j·dc_j + s)        s = dL/d(Σ_B Σ_j [h > θ])
 *
 * The step's kernel is on h, as in the paper; dictionary_learning's JumpReluTrainer puts it on c, where the half below θ is
 * missing. θ itself is the parameter, held at 0 from below after each step. The paper takes log θ instead; from 0.001 a
 * logarithm moves by one learning rate a step, which reaches useful thresholds only in long runs, and the library reports
 * poor results with it. The library leaves θ free; below 0 negative h would be codes, which they cannot be here.
 *
 * Scale: the paper and the library have activations of mean squared norm 1, this program of D (expected-norm): lengths there
 * are √D times as long here. So ε and θ start at 0.001·√D, θ's step size is √D times the learning rate, and mean_{B,D} e² is
 * the number that Σ_D e² is there; the sparsity loss has no scale. Inputs are centred by b′ (the library does not, the paper
 * leaves it open); a transcoder does not centre.
 *
 * Defaults of JumpReluTrainer: Adam at 7e-5 with β1 = 0, gradient clipped to norm 1, sparsity 1 towards an L0 of 20, 1000 steps
 * of warm-up and 2000 of sparsity warm-up (at most a tenth of the run each). They are for runs of 10⁵ steps: in 800 steps on the
 * demo model (D 192, F 768) 7e-5 reached an L0 of 119, 1e-3 of 21 at less than half the error.
 */
export const jumprelu: TrainableArchitecture = {
  name: 'jumprelu',
  transcoder: true,

  defaults: (sizes) => ({
    learningRate: 7e-5,
    beta1: 0,
    warmupSteps: atMostTenth(1000, sizes),
    clipNorm: 1,
    sparsity: 1,
    sparsityWarmupSteps: atMostTenth(2000, sizes),
    targetL0: Math.min(20, sizes.nFeatures),
    bandwidth: 1e-3 * Math.sqrt(sizes.dIn),
    initialThreshold: 1e-3 * Math.sqrt(sizes.dIn),
  }),

  check({ nFeatures: F, hyper: { bandwidth, targetL0 } }: TrainerSpec): void {
    if (bandwidth === 0) throw new CallerError('BAD_INPUT', 'bandwidth: expected a positive number, found 0: thresholds would never move');
    if (targetL0 > F) throw new CallerError('BAD_INPUT', `targetL0: expected at most ${F}, the number of features, found ${targetL0}`);
  },

  initialState(spec: TrainerSpec, centre: Float32Array): TrainingState {
    const { nFeatures: F, hyper } = spec;
    return freshState(F, { ...initialLinear(spec, centre), threshold: { shape: [F], data: new Float32Array(F).fill(hyper.initialThreshold) } });
  },

  stepGraph(spec: TrainerSpec): StepGraph {
    const { batchSize: B, dIn: D, dOut, nFeatures: F, hyper: { bandwidth, targetL0 } } = spec;
    const step = new StepBuilder('jumprelu-step', spec);
    const { add, sub, mul, gemm, greater, less, abs, cast, reduceSum } = step.ops;
    const linear = declareLinear(step, spec);
    const { h } = linear;
    const threshold = step.parameter('threshold', [F], { stepFactor: Math.sqrt(D), floor: 0 });
    const sparsity = step.scalar('sparsity');

    const above = cast(greater(h, threshold), 'float32');
    const c = mul(h, above);
    const { e, mse } = reconstructionError(step, spec, linear, c);
    const fired = reduceSum(above, [0], false);
    const l0 = mul(reduceSum(fired), 1 / B); // [1]
    const excess = targetL0 === 0 ? null : sub(mul(l0, 1 / targetL0), 1);
    const loss = add(mse, mul(sparsity, excess === null ? l0 : mul(excess, excess)));

    const g = mul(e, 2 / (B * dOut));
    const dc = gemm(g, linear.decoder, { transB: true });
    const s = excess === null ? mul(sparsity, 1 / B) : mul(mul(sparsity, excess), 2 / (targetL0 * B)); // [1]
    const near = cast(less(abs(sub(h, threshold)), bandwidth / 2), 'float32');
    const jump = mul(reduceSum(mul(near, dc), [0], false), threshold);
    const count = mul(reduceSum(near, [0], false), s);
    return step.finish({
      gradients: {
        ...linearGradients(step, spec, linear, { decoderGradient: gemm(c, g, { transA: true }), g, dh: mul(above, dc) }),
        threshold: mul(add(jump, count), -1 / bandwidth),
      },
      fired,
      loss,
      mse,
    });
  },

  scalars: (spec: TrainerSpec, step: number) => ({ sparsity: sparsityAt(spec, step), ...adamScalars(spec, step) }),

  parameters: (state: TrainingState, spec: TrainerSpec): DictionaryParameters => ({ ...linearParameters(state, spec), threshold: stateData(state, 'threshold').slice() }),
};
