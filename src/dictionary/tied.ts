import { invariant } from '../domain/errors.ts';
import { Rng } from '../math/rng.ts';
import { normaliseRows } from '../math/normaliseRows.ts';
import { GraphBuilder } from '../onnx/graphBuilder.ts';
import { opsOf } from '../onnx/ops.ts';
import { adamScalars, adamUpdate } from './adam.ts';
import type { DictionaryParameters, StepGraph, TrainableArchitecture, TrainingSettings, TrainingState } from './architecture.ts';

/** Least row norm divided by. */
export const NORM_FLOOR = 1e-8;

/**
 * The tied sparse autoencoder of Cunningham et al. 2023 (arXiv 2309.08600, section 2, eqs. 1–4; the loss as in the
 * authors' code, FunctionalTiedSAE):
 *
 *     W = M / max(‖row‖₂, 1e-8)          c = relu(x·Wᵀ + b)          x̂ = c·W
 *     L = mean_{B,D} (x̂ − x)²  +  l1 · mean_B Σ_j c_j
 *
 * The squared error is averaged over D while the L1 term is summed over F: with the paper's ‖x − x̂‖² as written, the
 * same trade-off needs l1·D. Rows are normalised inside the forward pass and the gradient goes through it; no decoder
 * bias, no centring. Init: M Xavier-uniform, b zero. Adam (adam.ts), no schedule, no clipping, dead features left alone.
 *
 * Backward, with e = x̂ − x, k = 2/(B·D), n = max(‖M_j‖, 1e-8):
 *
 *     dh = (k·e·Wᵀ + l1/B) ⊙ [c > 0]     dW = k·cᵀe + dhᵀx     db = Σ_B dh
 *     dM_j = (dW_j − W_j (W_j · dW_j)) / n_j         (without the projection where the clamp holds)
 *
 * Cost of a step: five B×D×F products, 10·B·D·F FLOP. The two terms of dW, and bias, constants and −x elsewhere, enter as
 * the addend of a Gemm instead of as passes over memory.
 */
export const tied: TrainableArchitecture = {
  name: 'tied',

  initialState({ dIn: D, nFeatures: F }: TrainingSettings, seed: number): TrainingState {
    const rng = Rng.derive(seed, 'tied', 'init');
    const bound = Math.sqrt(6 / (D + F));
    const rows = Float32Array.from({ length: F * D }, () => (2 * rng.next() - 1) * bound);
    const matrix = (data: Float32Array): { shape: number[]; data: Float32Array } => ({ shape: [F, D], data });
    const vector = (): { shape: number[]; data: Float32Array } => ({ shape: [F], data: new Float32Array(F) });
    return new Map([
      ['rows', matrix(rows)],
      ['rows.m', matrix(new Float32Array(F * D))],
      ['rows.v', matrix(new Float32Array(F * D))],
      ['bias', vector()],
      ['bias.m', vector()],
      ['bias.v', vector()],
      ['step', { shape: [1], data: new Float32Array(1) }],
    ]);
  },

  stepGraph({ dIn: D, nFeatures: F, batchSize: B }: TrainingSettings): StepGraph {
    const g = new GraphBuilder('tied-step');
    const { add, sub, mul, div, max, greater, cast, reduceL2, reduceSum, reduceSumSquare, gemm, sign } = opsOf(g);
    const x = g.input('x', 'float32', [B, D]);
    const rows = g.input('rows', 'float32', [F, D]);
    const rowsM = g.input('rows.m', 'float32', [F, D]);
    const rowsV = g.input('rows.v', 'float32', [F, D]);
    const bias = g.input('bias', 'float32', [F]);
    const biasM = g.input('bias.m', 'float32', [F]);
    const biasV = g.input('bias.v', 'float32', [F]);
    const l1 = g.input('l1', 'float32', [1]);
    const stepSize = g.input('stepSize', 'float32', [1]);
    const secondCorrection = g.input('secondCorrection', 'float32', [1]);

    // Forward.
    const norm = reduceL2(rows, [1]); // [F, 1]
    const floored = max(norm, NORM_FLOOR);
    const w = div(rows, floored);
    const c = g.node('FusedGemm', [x, w, bias], { transB: 1, activation: 'Relu' }, { domain: 'com.microsoft' }); // [B, F]
    const e = gemm(c, w, { c: x, beta: -1 }); // [B, D]
    const mse = mul(reduceSumSquare(e), 1 / (B * D)); // [1, 1]
    const on = sign(c); // [B, F], 1 where active
    const sparsity = mul(reduceSum(c), 1 / B);
    const l0 = mul(reduceSum(on), 1 / B);
    const loss = add(mse, mul(sparsity, l1));

    // Backward.
    const k = 2 / (B * D);
    const dc = gemm(e, w, { transB: true, alpha: k, c: mul(l1, 1 / B) });
    const dh = mul(dc, on);
    const dw = gemm(dh, x, { transA: true, c: gemm(c, e, { transA: true, alpha: k }) }); // [F, D]
    const dBias = reduceSum(dh, [0], false); // [F]
    const free = cast(greater(norm, NORM_FLOOR), 'float32');
    const along = mul(reduceSum(mul(dw, w), [1]), free); // [F, 1]
    const dRows = div(sub(dw, mul(w, along)), floored);

    const nextRows = adamUpdate(g, { p: rows, gradient: dRows, m: rowsM, v: rowsV, stepSize, secondCorrection });
    const nextBias = adamUpdate(g, { p: bias, gradient: dBias, m: biasM, v: biasV, stepSize, secondCorrection });
    g.output(nextRows.p, 'next.rows', 'float32', [F, D]);
    g.output(nextRows.m, 'next.rows.m', 'float32', [F, D]);
    g.output(nextRows.v, 'next.rows.v', 'float32', [F, D]);
    g.output(nextBias.p, 'next.bias', 'float32', [F]);
    g.output(nextBias.m, 'next.bias.m', 'float32', [F]);
    g.output(nextBias.v, 'next.bias.v', 'float32', [F]);
    g.output(loss, 'loss', 'float32');
    g.output(mse, 'mse', 'float32');
    g.output(l0, 'l0', 'float32');
    return { bytes: g.encode(), stateNames: ['rows', 'rows.m', 'rows.v', 'bias', 'bias.m', 'bias.v'] };
  },

  scalars({ l1, learningRate }: TrainingSettings, step: number): Readonly<Record<string, number>> {
    return { l1, ...adamScalars(learningRate, step) };
  },

  parameters(state: TrainingState): DictionaryParameters {
    const rows = state.get('rows');
    const bias = state.get('bias');
    invariant(rows !== undefined && bias !== undefined && rows.shape[0] === bias.shape[0], 'the state is one of a tied dictionary');
    const D = rows.shape[1]!;
    const directions = normaliseRows(rows.data, D, NORM_FLOOR);
    return { encoder: directions, encoderBias: bias.data.slice(), decoder: directions, decoderBias: new Float32Array(D) };
  },
};
