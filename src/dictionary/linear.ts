import type { TrainerSpec } from '../domain/training.ts';
import { Rng } from '../math/rng.ts';
import { normaliseRows } from '../math/normaliseRows.ts';
import type { Value } from '../onnx/graphBuilder.ts';
import type { DictionaryParameters, Tensor, TrainingState } from './architecture.ts';
import { stateData } from './state.ts';
import type { StepBuilder } from './stepBuilder.ts';

/**
 * What all dictionaries with separate encoder and decoder share; E = encoder [F, D], W = decoder [F, dOut] with rows of
 * length 1, b = encoderBias [F], b′ = decoderBias [dOut], S = skip [dOut, D] where there is one:
 *
 *     h = (x − b′)·Eᵀ + b     (a transcoder does not centre: h = x·Eᵀ + b)
 *     x̂ = c·W + b′ (+ x·Sᵀ)        e = x̂ − target
 *
 * An architecture is what lies between h and c, its losses, and what they send back. Backward, given g = dL/dx̂ and dL/dh:
 *
 *     dW = cᵀg       dE = dhᵀ(x − b′)       db = Σ_B dh       db′ = Σ_B g − db·E (no second term in a transcoder)       dS = gᵀx
 */
export interface Linear {
  /** x − b′, or x in a transcoder [B, D]. */
  readonly input: Value;
  readonly encoder: Value;
  readonly encoderBias: Value;
  readonly decoder: Value;
  readonly decoderBias: Value;
  readonly skip: Value | null;
  /** [B, F]. */
  readonly h: Value;
}

/** Declares the parameters and computes h. */
export function declareLinear(step: StepBuilder, { dIn: D, dOut, nFeatures: F, transcoder, skip }: TrainerSpec): Linear {
  const { gemm, sub } = step.ops;
  const encoder = step.parameter('encoder', [F, D]);
  const encoderBias = step.parameter('encoderBias', [F]);
  const decoder = step.parameter('decoder', [F, dOut], { unitRows: true });
  const decoderBias = step.parameter('decoderBias', [dOut]);
  const linearPath = skip ? step.parameter('skip', [dOut, D]) : null;
  const input = transcoder ? step.x : sub(step.x, decoderBias);
  return { input, encoder, encoderBias, decoder, decoderBias, skip: linearPath, h: gemm(input, encoder, { transB: true, c: encoderBias }) };
}

/** x̂ − target [B, dOut] and the mean squared error per element [1, 1]. */
export function reconstructionError(step: StepBuilder, spec: TrainerSpec, linear: Linear, c: Value): { e: Value; mse: Value } {
  const { add, sub, gemm, mul, reduceSumSquare } = step.ops;
  const offset = sub(linear.decoderBias, step.target); // [B, dOut]
  const addend = linear.skip === null ? offset : gemm(step.x, linear.skip, { transB: true, c: offset });
  const e = add(gemm(c, linear.decoder), addend);
  return { e, mse: mul(reduceSumSquare(e), 1 / (spec.batchSize * spec.dOut)) };
}

/** Gradients of what is shared, before the biases' and the linear path's are derived from them. */
export interface CoreGradients {
  /** dL/dE [F, D]: dhᵀ·input. */
  readonly encoder: Value;
  /** Σ_B dh [F]. */
  readonly sumDh: Value;
  /** dL/dW [F, dOut]: cᵀg, plus what other losses add. */
  readonly decoder: Value;
}

/**
 * Gradients of the shared parameters.
 * @param g dL/dx̂ [B, dOut] of all losses that reach the output bias and the linear path.
 */
export function assembleGradients(step: StepBuilder, { transcoder }: TrainerSpec, linear: Linear, core: CoreGradients, g: Value): Record<string, Value> {
  const { gemm, reduceSum, sub, matMul } = step.ops;
  const sumG = reduceSum(g, [0], false);
  return {
    encoder: core.encoder,
    encoderBias: core.sumDh,
    decoder: core.decoder,
    decoderBias: transcoder ? sumG : sub(sumG, matMul(core.sumDh, linear.encoder)),
    ...(linear.skip === null ? {} : { skip: gemm(g, step.x, { transA: true }) }),
  };
}

/**
 * `assembleGradients` where one dh says everything about the encoder.
 * @param decoderGradient dL/dW [F, dOut].
 * @param dh dL/dh [B, F].
 */
export function linearGradients(
  step: StepBuilder,
  spec: TrainerSpec,
  linear: Linear,
  { decoderGradient, g, dh }: { readonly decoderGradient: Value; readonly g: Value; readonly dh: Value },
): Record<string, Value> {
  const { gemm, reduceSum } = step.ops;
  return assembleGradients(step, spec, linear, { encoder: gemm(dh, linear.input, { transA: true }), sumDh: reduceSum(dh, [0], false), decoder: decoderGradient }, g);
}

/**
 * Start of the shared parameters: decoder rows random directions of length 1 (normal draws), encoder = `encoderScale` times
 * the decoder (Gao et al. 2024, appendix A.1, take 1), or for a transcoder directions of its own; b 0, b′ `centre`, S 0.
 */
export function initialLinear({ dIn: D, dOut, nFeatures: F, transcoder, skip, seed, architecture }: TrainerSpec, centre: Float32Array, encoderScale = 1): Record<string, Tensor> {
  const directions = (width: number, part: string): Float32Array => {
    const rng = Rng.derive(seed, architecture, part);
    return normaliseRows(Float32Array.from({ length: F * width }, () => rng.normal()), width, 1e-8);
  };
  const decoder = directions(dOut, 'decoder');
  const encoder = (transcoder ? directions(D, 'encoder') : decoder).map((value) => encoderScale * value);
  return {
    encoder: { shape: [F, D], data: encoder },
    encoderBias: { shape: [F], data: new Float32Array(F) },
    decoder: { shape: [F, dOut], data: decoder },
    decoderBias: { shape: [dOut], data: centre.slice() },
    ...(skip ? { skip: { shape: [dOut, D], data: new Float32Array(dOut * D) } } : {}),
  };
}

/** The shared parameters as everything downstream reads them: the centring folded into encoderBias, b − E·b′. */
export function linearParameters(state: TrainingState, { dIn: D, transcoder, skip }: TrainerSpec): DictionaryParameters {
  const encoder = stateData(state, 'encoder').slice();
  const encoderBias = stateData(state, 'encoderBias').slice();
  const decoderBias = stateData(state, 'decoderBias').slice();
  if (!transcoder) {
    for (let j = 0; j < encoderBias.length; j++) {
      let dot = 0;
      for (let d = 0; d < D; d++) dot += encoder[j * D + d]! * decoderBias[d]!;
      encoderBias[j] = encoderBias[j]! - dot;
    }
  }
  return { encoder, encoderBias, threshold: null, decoder: stateData(state, 'decoder').slice(), decoderBias, skip: skip ? stateData(state, 'skip').slice() : null, k: null };
}
