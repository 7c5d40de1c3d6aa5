import type { TrainerSpec } from '../domain/training.ts';
import type { DictionaryParameters, StepGraph, TrainableArchitecture, TrainingState } from './architecture.ts';
import { atMostTenth } from './hyperparameters.ts';
import { assembleGradients, declareLinear, initialLinear, linearParameters, reconstructionError } from './linear.ts';
import { adamScalars, sparsityAt } from './schedule.ts';
import { freshState, stateData } from './state.ts';
import { StepBuilder } from './stepBuilder.ts';

/**
 * The gated autoencoder (Rajamanoharan et al. 2024, arXiv 2404.16014, section 3), with x̂, e of linear.ts. Which features are on
 * and how strongly are read by one matrix with two scales; h of linear.ts is the gate, encoderBias b its bias, r `rescale`
 * and m `magnitudeBias`:
 *
 *     h = (x − b′)·Eᵀ + b        a = exp(r) ⊙ (h − b) + m        c = [h > 0] ⊙ relu(a)
 *     p = relu(h)                e_p = p·W + b′ (+ x·Sᵀ) − target        where W, b′, S are constants
 *     L = mean_{B,D} e²  +  sparsity · mean_B Σ_j p_j  +  mean_{B,D} e_p²
 *
 * Backward: g = 2/(B·D)·e,  g_p = 2/(B·D)·e_p,
 *
 *     da = (g·Wᵀ) ⊙ [c > 0]        dp = (g_p·Wᵀ + sparsity/B) ⊙ [h > 0]        dz = exp(r) ⊙ da + dp
 *     dE = dzᵀ(x − b′)     db = Σ_B dp     dm = Σ_B da     dr = Σ_B da ⊙ (a − m) = Σ_B (g·Wᵀ) ⊙ c − m ⊙ dm
 *     dW = cᵀg     db′ = Σ_B g − (Σ_B dz)·E (no second term in a transcoder)     dS = gᵀx
 *
 * Seven B×D×F products. Downstream it is one scaled encoder with a threshold: h > 0 exactly where a > m − exp(r) ⊙ b, and
 * relu asks for a > 0, so θ = max(0, m − exp(r) ⊙ b).
 *
 * Scale and defaults of dictionary_learning's GatedSAETrainer: Adam at 5e-5 with β1 = 0, no clipping, 1000 steps of warm-up and
 * 2000 of sparsity warm-up (at most a tenth of the run each). Its squared errors are summed over D and its penalty is 0.1, for
 * activations of mean squared norm 1; for norm √D (expected-norm) the means over D are the same numbers and the penalty of
 * √D times longer codes is 0.1/√D. They are for runs of 10⁵ steps: in 800 steps on the demo model (D 192, F 768) 5e-5 left an
 * L0 of 362, 1e-3 one of 117 at a third of the error.
 */
export const gated: TrainableArchitecture = {
  name: 'gated',
  transcoder: true,

  defaults: (sizes) => ({
    learningRate: 5e-5,
    beta1: 0,
    warmupSteps: atMostTenth(1000, sizes),
    sparsity: 0.1 / Math.sqrt(sizes.dIn),
    sparsityWarmupSteps: atMostTenth(2000, sizes),
  }),

  initialState(spec: TrainerSpec, centre: Float32Array): TrainingState {
    const perFeature = () => ({ shape: [spec.nFeatures], data: new Float32Array(spec.nFeatures) });
    return freshState(spec.nFeatures, { ...initialLinear(spec, centre), rescale: perFeature(), magnitudeBias: perFeature() });
  },

  stepGraph(spec: TrainerSpec): StepGraph {
    const { batchSize: B, dOut, nFeatures: F } = spec;
    const step = new StepBuilder('gated-step', spec);
    const { add, sub, mul, exp, gemm, relu, isPositive, reduceSum } = step.ops;
    const linear = declareLinear(step, spec);
    const { h, decoder } = linear;
    const rescale = step.parameter('rescale', [F]);
    const magnitudeBias = step.parameter('magnitudeBias', [F]);
    const sparsity = step.scalar('sparsity');

    const scale = exp(rescale);
    const a = add(mul(h, scale), sub(magnitudeBias, mul(scale, linear.encoderBias)));
    const p = relu(h);
    const gate = isPositive(p);
    const c = mul(gate, relu(a));
    const { e, mse } = reconstructionError(step, spec, linear, c);
    const { e: eGate, mse: mseGate } = reconstructionError(step, spec, linear, p);
    const on = isPositive(c);
    const loss = add(add(mse, mseGate), mul(mul(reduceSum(p), 1 / B), sparsity));

    const g = mul(e, 2 / (B * dOut));
    const dc = gemm(g, decoder, { transB: true });
    const da = mul(dc, on);
    const dm = reduceSum(da, [0], false);
    const gGate = mul(eGate, 2 / (B * dOut));
    const dp = mul(gate, gemm(gGate, decoder, { transB: true, c: mul(sparsity, 1 / B) }));
    const dz = add(mul(da, scale), dp);
    const db = reduceSum(dp, [0], false);
    const core = { encoder: gemm(dz, linear.input, { transA: true }), sumDh: add(mul(dm, scale), db), decoder: gemm(c, g, { transA: true }) };
    return step.finish({
      gradients: {
        ...assembleGradients(step, spec, linear, core, g),
        encoderBias: db,
        magnitudeBias: dm,
        rescale: sub(reduceSum(mul(dc, c), [0], false), mul(magnitudeBias, dm)),
      },
      fired: reduceSum(on, [0], false),
      loss,
      mse,
    });
  },

  scalars: (spec: TrainerSpec, step: number) => ({ sparsity: sparsityAt(spec, step), ...adamScalars(spec, step) }),

  parameters(state: TrainingState, spec: TrainerSpec): DictionaryParameters {
    const { encoderBias: gateBias, ...parameters } = linearParameters(state, spec); // gateBias = b − E·b′
    const [b, r, m] = ['encoderBias', 'rescale', 'magnitudeBias'].map((name) => stateData(state, name)) as [Float32Array, Float32Array, Float32Array];
    const { dIn: D } = spec;
    return {
      ...parameters,
      encoder: parameters.encoder.map((value, i) => value * Math.exp(r[Math.floor(i / D)]!)),
      encoderBias: gateBias.map((value, j) => Math.exp(r[j]!) * (value - b[j]!) + m[j]!),
      threshold: m.map((value, j) => Math.max(0, value - Math.exp(r[j]!) * b[j]!)),
    };
  },
};
