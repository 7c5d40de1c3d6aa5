import type { DictionaryConfig, DictionaryWeights } from '../domain/dictionary.ts';
import { invariant } from '../domain/errors.ts';
import type { TrainingState } from './architecture.ts';
import { trainableArchitecture } from './registry.ts';

/** The trained state in the form everything downstream reads. `config.weightsHash` stays empty until it is written. */
export function trainedWeights(config: Omit<DictionaryConfig, 'formatVersion' | 'weightsHash'>, state: TrainingState): DictionaryWeights {
  const parameters = trainableArchitecture(config.architecture).parameters(state);
  invariant(parameters.decoder.length === config.nFeatures * config.dIn, `weights of shape [${config.nFeatures}, ${config.dIn}]`);
  return { config: { ...config, formatVersion: 1, weightsHash: '' }, ...parameters };
}
