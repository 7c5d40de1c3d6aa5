import type { DictionaryWeights } from '../../src/domain/dictionary.ts';
import type { NearestSource } from '../../src/pipelines/nearest.ts';
import { randomDictionary } from './randomDictionary.ts';

export const NEAREST_WIDTH = 12;

/** Random dictionaries of one model, of layers 0, 1, 2, …, and a transcoder that reads layer 0 and writes layer 3. */
export function nearestDictionaries(features: readonly number[]): DictionaryWeights[] {
  const plain = features.map((n, layer) => randomDictionary(`${layer}-r`, `resid_post.${layer}`, NEAREST_WIDTH, n, { seed: 9 }));
  return [...plain, randomDictionary('0-t', 'mlp_in.0', NEAREST_WIDTH, 21, { seed: 9, outputHookPoint: 'mlp_out.3' })];
}

/** As the stage gives them; `onRead` hears of every reading of weights. */
export function nearestSources(dictionaries: readonly DictionaryWeights[], onRead: (name: string) => void = () => undefined): NearestSource[] {
  return dictionaries.map((weights) => ({
    config: weights.config,
    read: async () => {
      onRead(weights.config.name);
      return Promise.resolve(weights);
    },
  }));
}
