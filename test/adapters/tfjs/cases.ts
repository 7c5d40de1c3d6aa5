import { trainableArchitecture } from '../../../src/dictionary/registry.ts';
import type { TrainableArchitecture } from '../../../src/domain/dictionary.ts';
import type { Hyperparameters, TrainerSpec } from '../../../src/domain/training.ts';
import { specOf } from '../../contract/trainingEngineData.ts';

export interface Case {
  readonly name: string;
  readonly spec: TrainerSpec;
}

/** What each architecture is tried with: settings that reach every branch of its loss and of the optimiser. */
const SETTINGS: Readonly<Record<string, readonly Partial<Hyperparameters>[]>> = {
  tied: [{ learningRate: 3e-3 }, { learningRate: 3e-3, warmupSteps: 10, decaySteps: 20, clipNorm: 0.05, sparsityWarmupSteps: 30 }],
  untied: [{ learningRate: 3e-3 }, { learningRate: 3e-3, decaySteps: 20, clipNorm: 0.05, beta1: 0 }],
  topk: [{ k: 3, deadVectors: 64, auxK: 3 }, { k: 2, deadVectors: 64, auxK: 48 }, { k: 48, auxCoefficient: 0 }],
  batchtopk: [{ k: 3, deadVectors: 64, auxK: 3, thresholdDecay: 0.9 }, { k: 2, deadVectors: 64, auxK: 48, thresholdStart: 60 }, { k: 8, auxCoefficient: 0 }],
  jumprelu: [{ learningRate: 3e-3, targetL0: 4, bandwidth: 0.3 }, { learningRate: 3e-3, sparsity: 0.02, targetL0: 0, bandwidth: 0.5, initialThreshold: 0.3 }],
  gated: [{ learningRate: 3e-3 }, { learningRate: 3e-3, sparsity: 0.2, clipNorm: 0.1 }],
  matryoshka: [{ k: 2, deadVectors: 64, auxK: 3 }, { k: 4, groupShares: [0.25, 0.75], auxCoefficient: 0 }],
};

/** Every architecture with each of its settings, and those that can as transcoders without and with a linear path. */
export const CASES: readonly Case[] = Object.entries(SETTINGS).flatMap(([name, settings]) => {
  const architecture = name as TrainableArchitecture;
  const plain = settings.map((setting) => ({ name: `${name} ${JSON.stringify(setting)}`, spec: specOf(architecture, setting) }));
  if (!trainableArchitecture(architecture).transcoder) return plain;
  return [
    ...plain,
    { name: `${name} transcoder`, spec: specOf(architecture, settings[0], { dOut: 12 }) },
    { name: `${name} transcoder with a linear path`, spec: specOf(architecture, settings[0], { dOut: 12, skip: true }) },
  ];
});

/** Which of these architectures have no case. */
export function withoutCase(names: readonly string[]): string[] {
  return names.filter((name) => SETTINGS[name] === undefined);
}
