import type { DictionaryParameters } from '../../src/dictionary/architecture.ts';
import type { DictionaryWeights } from '../../src/domain/dictionary.ts';

/** Parameters as weights, for reading vectors with them. */
export function asDictionary({ k, ...arrays }: DictionaryParameters, D: number): DictionaryWeights {
  return {
    config: {
      formatVersion: 1, name: '0-test', model: 'test', hookPoint: 'resid_post.0', outputHookPoint: null, architecture: 'pca', dIn: D, dOut: D,
      nFeatures: arrays.encoderBias.length, k, l1: null, inputScale: 1, outputScale: 1, weightsHash: '', run: 'test',
    },
    ...arrays,
  };
}
