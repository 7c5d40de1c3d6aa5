import assert from 'node:assert/strict';
import { join } from 'node:path';
import { readTensorFile, type Tensor } from '../../../src/adapters/files/tensorFile.ts';
import type { ForeignDictionary } from '../../../src/adapters/formats/foreign.ts';
import { decode, encode } from '../../../src/dictionary/encode.ts';
import type { DictionaryWeights } from '../../../src/domain/dictionary.ts';

export const FORMATS = join(import.meta.dirname, '..', '..', 'fixtures', 'formats');

/** What the original library computes, by the producer's names (scripts/oracle/foreign_safetensors.py). */
export async function expectedOf(format: string): Promise<ReadonlyMap<string, Tensor>> {
  const file = await readTensorFile(join(FORMATS, format, 'expected.safetensors'));
  assert.ok(file, `fixtures of ${format}`);
  return file.tensors;
}

/** As weights, without a place in a model. */
export function weightsOf({ parameters, k, dIn, dOut, nFeatures, inputScale, outputScale, architecture, hook }: ForeignDictionary): DictionaryWeights {
  return {
    config: {
      formatVersion: 1, name: 'test', model: 'test', hookPoint: hook.point ?? 'resid_post.0', outputHookPoint: hook.output, architecture, dIn, dOut, nFeatures, k, l1: null,
      inputScale, outputScale, weightsHash: '', run: 'test',
    },
    ...parameters,
  };
}

/** Largest difference over the largest expected value. */
export function relativeError(found: Float32Array, expected: Float32Array): number {
  assert.equal(found.length, expected.length);
  let worst = 0;
  let largest = 0;
  for (let i = 0; i < found.length; i++) {
    worst = Math.max(worst, Math.abs(found[i]! - expected[i]!));
    largest = Math.max(largest, Math.abs(expected[i]!));
  }
  return worst / largest;
}

/** Codes and reconstruction of our reading against the library's own on the same vectors. */
export function assertParity(weights: DictionaryWeights, expected: ReadonlyMap<string, Tensor>, name: string, tolerance = 1e-5): void {
  const x = expected.get('x')!.data;
  const codes = encode(weights, x);
  assert.ok(relativeError(codes, expected.get(`${name}.codes`)!.data) < tolerance, `${name}: codes differ by ${relativeError(codes, expected.get(`${name}.codes`)!.data)}`);
  const reconstruction = decode(weights, codes, x);
  const error = relativeError(reconstruction, expected.get(`${name}.reconstruction`)!.data);
  assert.ok(error < tolerance, `${name}: reconstruction differs by ${error}`);
}
