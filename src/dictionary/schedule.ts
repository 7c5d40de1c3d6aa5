import type { TrainerSpec } from '../domain/training.ts';

/**
 * Share of the full step size at step t (from 1) of n: min(1, t/warmupSteps) · min(1, (n − t + 1)/decaySteps). The first
 * step of a warm-up already moves, unlike schedulers that count from 0.
 */
export function learningRateShare({ totalSteps, hyper: { warmupSteps, decaySteps } }: TrainerSpec, step: number): number {
  const warm = warmupSteps === 0 ? 1 : Math.min(1, step / warmupSteps);
  const decay = decaySteps === 0 ? 1 : Math.max(0, Math.min(1, (totalSteps - step + 1) / decaySteps));
  return warm * decay;
}

/** Sparsity coefficient at step t: grows linearly over sparsityWarmupSteps. */
export function sparsityAt({ hyper: { sparsity, sparsityWarmupSteps } }: TrainerSpec, step: number): number {
  return sparsityWarmupSteps === 0 ? sparsity : sparsity * Math.min(1, step / sparsityWarmupSteps);
}

/**
 * Scalars of Adam's step t (Kingma & Ba 2015, algorithm 1): stepSize = lr·share/(1 − β1ᵗ), secondCorrection = √(1 − β2ᵗ).
 * Resampling does not restart t.
 */
export function adamScalars(spec: TrainerSpec, step: number): { stepSize: number; secondCorrection: number } {
  const { learningRate, beta1, beta2 } = spec.hyper;
  return { stepSize: (learningRate * learningRateShare(spec, step)) / (1 - beta1 ** step), secondCorrection: Math.sqrt(1 - beta2 ** step) };
}
