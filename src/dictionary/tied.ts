import { invariant } from '../domain/errors.ts';
import { Rng } from '../math/rng.ts';
import { normaliseRows } from '../math/normaliseRows.ts';
import type { TrainerSpec } from '../domain/training.ts';
import type { DictionaryParameters, StepGraph, TrainableArchitecture, TrainingState } from './architecture.ts';
import { adamScalars, sparsityAt } from './schedule.ts';
import { freshState } from './state.ts';
import { StepBuilder } from './stepBuilder.ts';

/** Least row norm divided by. */
export const NORM_FLOOR = 1e-8;

/**
 * The tied sparse autoencoder of Cunningham et al. 2023 (arXiv 2309.08600, section 2, eqs. 1–4; the loss as in the
 * authors' code, FunctionalTiedSAE):
 *
 *     W = M / max(‖row‖₂, 1e-8)          c = relu(x·Wᵀ + b)          x̂ = c·W
 *     L = mean_{B,D} (x̂ − x)²  +  sparsity · mean_B Σ_j c_j
 *
 * The squared error is averaged over D while the L1 term is summed over F: with the paper's ‖x − x̂‖² as written, the
 * same trade-off needs sparsity·D. Rows are normalised inside the forward pass and the gradient goes through it; no decoder
 * bias, no centring. Init: M Xavier-uniform, b zero. Adam with step size 1e-3, no schedule, no clipping, dead features left alone
 * (appendix B and E). The default sparsity is for activations of norm √D (expected-norm), where it gives 15 to 40 active
 * features at D = 192; the paper's own is 8.6e-4 in the model's units.
 *
 * Backward, with e = x̂ − x, k = 2/(B·D), n = max(‖M_j‖, 1e-8):
 *
 *     dh = (k·e·Wᵀ + sparsity/B) ⊙ [c > 0]     dW = k·cᵀe + dhᵀx     db = Σ_B dh
 *     dM_j = (dW_j − W_j (W_j · dW_j)) / n_j         (without the projection where the clamp holds)
 *
 * Cost of a step: five B×D×F products, 10·B·D·F FLOP. The two terms of dW, and bias, constants and −x elsewhere, enter as
 * the addend of a Gemm instead of as passes over memory.
 */
export const tied: TrainableArchitecture = {
  name: 'tied',
  transcoder: false,

  defaults: () => ({ learningRate: 1e-3, sparsity: 8e-3, sparsityWarmupSteps: 0, resampleSteps: 0 }),

  initialState({ dIn: D, nFeatures: F, seed }: TrainerSpec): TrainingState {
    const rng = Rng.derive(seed, 'tied', 'init');
    const bound = Math.sqrt(6 / (D + F));
    const rows = Float32Array.from({ length: F * D }, () => (2 * rng.next() - 1) * bound);
    return freshState(F, { rows: { shape: [F, D], data: rows }, bias: { shape: [F], data: new Float32Array(F) } });
  },

  stepGraph(spec: TrainerSpec): StepGraph {
    const { dIn: D, nFeatures: F, batchSize: B } = spec;
    const step = new StepBuilder('tied-step', spec);
    const { g, ops, x } = step;
    const { add, sub, mul, div, max, greater, cast, reduceL2, reduceSum, reduceSumSquare, gemm, isPositive } = ops;
    const rows = step.parameter('rows', [F, D]);
    const bias = step.parameter('bias', [F]);
    const sparsity = step.scalar('sparsity');

    // Forward.
    const norm = reduceL2(rows, [1]); // [F, 1]
    const floored = max(norm, NORM_FLOOR);
    const w = div(rows, floored);
    const c = g.node('FusedGemm', [x, w, bias], { transB: 1, activation: 'Relu' }, { domain: 'com.microsoft' }); // [B, F]
    const e = gemm(c, w, { c: x, beta: -1 }); // [B, D]
    const mse = mul(reduceSumSquare(e), 1 / (B * D)); // [1, 1]
    const on = isPositive(c); // [B, F], 1 where active
    const loss = add(mse, mul(mul(reduceSum(c), 1 / B), sparsity));

    // Backward.
    const k = 2 / (B * D);
    const dc = gemm(e, w, { transB: true, alpha: k, c: mul(sparsity, 1 / B) });
    const dh = mul(dc, on);
    const dw = gemm(dh, x, { transA: true, c: gemm(c, e, { transA: true, alpha: k }) }); // [F, D]
    const free = cast(greater(norm, NORM_FLOOR), 'float32');
    const along = mul(reduceSum(mul(dw, w), [1]), free); // [F, 1]
    return step.finish({
      gradients: { rows: div(sub(dw, mul(w, along)), floored), bias: reduceSum(dh, [0], false) },
      fired: reduceSum(on, [0], false),
      loss,
      mse,
    });
  },

  scalars: (spec: TrainerSpec, step: number) => ({ sparsity: sparsityAt(spec, step), ...adamScalars(spec, step) }),

  parameters(state: TrainingState): DictionaryParameters {
    const rows = state.get('rows');
    const bias = state.get('bias');
    invariant(rows !== undefined && bias !== undefined && rows.shape[0] === bias.shape[0], 'the state is one of a tied dictionary');
    const D = rows.shape[1]!;
    const directions = normaliseRows(rows.data, D, NORM_FLOOR);
    return { encoder: directions, encoderBias: bias.data.slice(), threshold: null, decoder: directions, decoderBias: new Float32Array(D), skip: null, k: null };
  },
};
