import type { DictionaryConfig, DictionaryWeights } from '../domain/dictionary.ts';
import { invariant } from '../domain/errors.ts';
import type { TrainerSpec } from '../domain/training.ts';
import type { TrainingState } from './architecture.ts';
import { trainableArchitecture } from './registry.ts';

/** What a trained dictionary's config says beside what its spec and state decide. */
export type Belonging = Pick<DictionaryConfig, 'name' | 'model' | 'hookPoint' | 'outputHookPoint' | 'inputScale' | 'outputScale' | 'run'>;

/** The trained state in the form everything downstream reads. `config.weightsHash` stays empty until it is written. */
export function trainedWeights(belonging: Belonging, spec: TrainerSpec, state: TrainingState): DictionaryWeights {
  const { architecture, dIn, dOut, nFeatures, hyper } = spec;
  const { k, ...parameters } = trainableArchitecture(architecture).parameters(state, spec);
  invariant(parameters.encoder.length === nFeatures * dIn && parameters.decoder.length === nFeatures * dOut, `weights of shape [${nFeatures}, ${dIn}] and [${nFeatures}, ${dOut}]`);
  const l1 = architecture === 'tied' || architecture === 'untied' || architecture === 'gated' ? hyper.sparsity : null;
  return { config: { formatVersion: 1, ...belonging, architecture, dIn, dOut, nFeatures, k, l1, weightsHash: '' }, ...parameters };
}
