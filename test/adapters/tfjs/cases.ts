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
