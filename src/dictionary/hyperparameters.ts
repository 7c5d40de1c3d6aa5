import { CallerError } from '../domain/errors.ts';
import type { Hyperparameters, TrainerSpec, TrainingSizes } from '../domain/training.ts';
import type { TrainableArchitecture } from './architecture.ts';

/** What a hyper-parameter is where the architecture does not read it: without effect. */
export const NEUTRAL: Hyperparameters = {
  learningRate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, warmupSteps: 0, decaySteps: 0, clipNorm: 0,
  sparsity: 0, sparsityWarmupSteps: 0, k: 0, auxK: 0, auxCoefficient: 0, deadVectors: 10_000_000,
  thresholdDecay: 0, thresholdStart: 0, initialThreshold: 0, bandwidth: 0, targetL0: 0, groupShares: [1], resampleSteps: 0,
};

/** Read by every architecture. */
export const COMMON = ['learningRate', 'beta1', 'beta2', 'epsilon', 'warmupSteps', 'decaySteps', 'clipNorm', 'deadVectors'] as const satisfies readonly (keyof Hyperparameters)[];

/** A warm-up of `steps`, as sources give it for long runs, but at most a tenth of this run. */
export function atMostTenth(steps: number, { totalSteps }: TrainingSizes): number {
  return Math.min(steps, Math.floor(totalSteps / 10));
}

/**
 * The architecture's defaults for these sizes with `overrides` in their place. Throws BAD_INPUT naming what the
 * architecture reads when an override is not among it, or is out of range.
 */
export function resolveHyperparameters(architecture: TrainableArchitecture, sizes: TrainingSizes, overrides: Partial<Hyperparameters>): Hyperparameters {
  const defaults = architecture.defaults(sizes);
  const readable = new Set<string>([...COMMON, ...Object.keys(defaults)]);
  for (const [key, value] of Object.entries(overrides)) {
    if (value !== undefined && !readable.has(key)) {
      throw new CallerError('BAD_INPUT', `${key}: the ${architecture.name} architecture has no such setting; it has ${[...readable].join(', ')}`);
    }
  }
  const given = Object.fromEntries(Object.entries(overrides).filter(([, value]) => value !== undefined));
  const hyper: Hyperparameters = { ...NEUTRAL, ...defaults, ...given };
  checkRanges(hyper);
  return hyper;
}

function checkRanges(hyper: Hyperparameters): void {
  const wrong = (name: keyof Hyperparameters, expected: string): never => {
    throw new CallerError('BAD_INPUT', `${name}: expected ${expected}, found ${String(hyper[name])}`);
  };
  for (const name of ['warmupSteps', 'decaySteps', 'sparsityWarmupSteps', 'k', 'auxK', 'deadVectors', 'thresholdStart', 'resampleSteps'] as const) {
    if (!Number.isSafeInteger(hyper[name]) || hyper[name] < 0) wrong(name, 'a whole number from 0');
  }
  for (const name of ['clipNorm', 'sparsity', 'auxCoefficient', 'initialThreshold', 'bandwidth', 'targetL0'] as const) {
    if (!(hyper[name] >= 0 && Number.isFinite(hyper[name]))) wrong(name, 'a number from 0');
  }
  for (const name of ['beta1', 'beta2', 'thresholdDecay'] as const) if (!(hyper[name] >= 0 && hyper[name] < 1)) wrong(name, 'a number from 0 to below 1');
  for (const name of ['learningRate', 'epsilon'] as const) if (!(hyper[name] > 0 && Number.isFinite(hyper[name]))) wrong(name, 'a positive number');
  const total = hyper.groupShares.reduce((sum, share) => sum + share, 0);
  if (hyper.groupShares.length === 0 || !hyper.groupShares.every((share) => share > 0) || Math.abs(total - 1) > 1e-6) wrong('groupShares', 'positive numbers that sum to 1');
}

/** Throws what a spec may not be: sizes, transcoding by an architecture that cannot, or the architecture's own checks. */
export function checkSpec(architecture: TrainableArchitecture, spec: TrainerSpec): void {
  for (const name of ['dIn', 'dOut', 'nFeatures', 'batchSize', 'totalSteps'] as const) {
    if (!Number.isSafeInteger(spec[name]) || spec[name] < 1) throw new CallerError('BAD_INPUT', `${name}: expected a positive integer, found ${spec[name]}`);
  }
  if (spec.transcoder && !architecture.transcoder) {
    throw new CallerError('UNSUPPORTED', `a ${architecture.name} dictionary cannot be a transcoder: it decodes with the encoder's own directions. Use untied, topk, batchtopk, matryoshka, jumprelu or gated`);
  }
  if (!spec.transcoder && (spec.skip || spec.dOut !== spec.dIn)) throw new CallerError('BAD_INPUT', 'a linear path or another output width needs a transcoder');
  architecture.check?.(spec);
}
