import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decode, encode } from '../../../src/dictionary/encode.ts';
import type { DictionaryWeights } from '../../../src/domain/dictionary.ts';
import { relativeError } from './parity.ts';

/** What the original library gave for some vectors (scripts/oracle/foreign_pt.py). */
export interface Original {
  readonly vectors: number[][];
  readonly codes: number[][];
  readonly reconstruction: number[][];
}

export async function originalOf<T = Original>(folder: string): Promise<T> {
  return JSON.parse(await readFile(join(folder, 'expected.json'), 'utf8')) as T;
}

/** Our codes and reconstructions of the original's vectors must be the original's, to 1e-5 of the largest. */
export function assertSame(weights: DictionaryWeights, { vectors, codes, reconstruction }: Original, name: string): void {
  const x = Float32Array.from(vectors.flat());
  const found = encode(weights, x);
  const expected = Float32Array.from(codes.flat());
  assert.ok(expected.some((c) => c > 0), `${name}: the original has active features`);
  assert.deepEqual(Array.from(found, (c) => c > 0), Array.from(expected, (c) => c > 0), `${name}: active features`);
  assert.ok(relativeError(found, expected) < 1e-5, `${name}: codes differ by ${relativeError(found, expected)}`);
  const error = relativeError(decode(weights, found, x), Float32Array.from(reconstruction.flat()));
  assert.ok(error < 1e-5, `${name}: reconstructions differ by ${error}`);
}
