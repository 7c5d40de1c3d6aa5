import type { TrainableArchitecture } from './dictionary.ts';

/** Sizes a training step depends on. */
export interface TrainingSizes {
  /** D: width of what the encoder reads. */
  readonly dIn: number;
  /** Width of what the decoder predicts: D, or for a transcoder the width at its output hook point. */
  readonly dOut: number;
  /** F. */
  readonly nFeatures: number;
  /** B, vectors per step. */
  readonly batchSize: number;
  /** Steps the whole training takes: schedules end there. */
  readonly totalSteps: number;
}

/**
 * Everything about loss, optimiser and schedule that can be set. Each architecture's file says which of these it reads, with
 * its source's values as defaults; setting another is refused. Steps are counted from 1.
 */
export interface Hyperparameters {
  /** Adam's step size, before warm-up and decay. */
  readonly learningRate: number;
  /** Decay rates of Adam's two moments, [0, 1). */
  readonly beta1: number;
  readonly beta2: number;
  /** Added to the root of the second moment. */
  readonly epsilon: number;
  /** Steps over which the step size grows linearly from 0; 0 = none. */
  readonly warmupSteps: number;
  /** Last steps over which the step size falls linearly to 0; 0 = none. */
  readonly decaySteps: number;
  /** Largest global L2 norm of the gradient; 0 = unlimited. */
  readonly clipNorm: number;
  /** Coefficient of the sparsity loss (L1 or L0); scaling as the architecture's file says. */
  readonly sparsity: number;
  /** Steps over which the sparsity coefficient grows linearly from 0; 0 = none. */
  readonly sparsityWarmupSteps: number;
  /** Active features per vector (TopK), or per vector on average (BatchTopK, Matryoshka). */
  readonly k: number;
  /** Dead features that reconstruct the residual in the auxiliary loss. */
  readonly auxK: number;
  /** Coefficient of the auxiliary loss; 0 = none. */
  readonly auxCoefficient: number;
  /** Vectors without an activation after which a feature counts as dead. */
  readonly deadVectors: number;
  /** Per-step decay of the running inference threshold. */
  readonly thresholdDecay: number;
  /** Step after which the inference threshold is tracked. */
  readonly thresholdStart: number;
  /** θ at the start (JumpReLU). */
  readonly initialThreshold: number;
  /** ε, width of the straight-through estimator's kernel (JumpReLU). */
  readonly bandwidth: number;
  /** L0 the sparsity loss pulls to (JumpReLU); 0 = the plain L0 penalty. */
  readonly targetL0: number;
  /** Shares of the features in each group, summing to 1 (Matryoshka). */
  readonly groupShares: readonly number[];
  /** Steps between resamplings of dead features; 0 = never. */
  readonly resampleSteps: number;
}

/** Everything that decides what one trainer computes, beside the data. */
export interface TrainerSpec extends TrainingSizes {
  readonly architecture: TrainableArchitecture;
  /** Whether it predicts other vectors (`targets`) than it reads. */
  readonly transcoder: boolean;
  /** Transcoders only: a linear path x·W_skipᵀ beside the features. */
  readonly skip: boolean;
  readonly hyper: Hyperparameters;
  readonly seed: number;
}
