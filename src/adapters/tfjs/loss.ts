import type { Scalar, Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import type { TrainableArchitecture } from '../../domain/dictionary.ts';
import type { TrainerSpec } from '../../domain/training.ts';

/** What the loss of one step is computed from. */
export interface LossInputs {
  readonly spec: TrainerSpec;
  /** [B, D]. */
  readonly x: Tensor2D;
  /** What is predicted [B, dOut]: x itself, or a transcoder's targets. */
  readonly target: Tensor2D;
  /** Parameters and buffers by their names in the state, in its shapes; `sinceFired` [F] as before this step. */
  readonly state: Readonly<Record<string, Tensor>>;
  /** The architecture's scalars of this step. */
  readonly scalars: Readonly<Record<string, number>>;
}

export interface LossOutputs {
  /** What is differentiated. */
  readonly loss: Scalar;
  /** Σ(x̂ − target)² / (B·dOut). */
  readonly mse: Scalar;
  /** Vectors on which each feature is active [F]. */
  readonly fired: Tensor1D;
  /** Next values of the architecture's buffers. */
  readonly buffers?: Readonly<Record<string, Tensor>>;
}

/** As StepBuilder.parameter's options in src/dictionary. */
export interface ParameterRule {
  /** Keep each row at length 1: the part of its gradient along the row is removed first. */
  readonly unitRows?: boolean;
  /** Its step size in units of the others'. */
  readonly stepFactor?: number;
  /** Least value after a step. */
  readonly floor?: number;
}

/**
 * The forward loss of an architecture of src/dictionary, whose file has the equations and their source. Only this is
 * written for TensorFlow.js: gradients come from its automatic differentiation, so they check the ones derived by hand.
 */
export interface TfjsLoss {
  readonly name: TrainableArchitecture;
  /** Parameters that a step treats otherwise than the rest. */
  rules(spec: TrainerSpec): Readonly<Record<string, ParameterRule>>;
  compute(inputs: LossInputs): LossOutputs;
}
