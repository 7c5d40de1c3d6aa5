import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CallerError } from '../../src/domain/errors.ts';
import { noFragments, paperFragments } from '../../src/pipelines/paperFragments.ts';
import type { Tokenizer } from '../../src/ports/Tokenizer.ts';
import { gather } from '../helpers/gather.ts';
import { wordTokenizer } from '../helpers/wordTokenizer.ts';

const words = (ids: readonly number[]): string => ids.map((id) => `w${id}`).join(' ');
/** Document d is 100·d, 100·d + 1, … so that a fragment says where it was cut. */
const document = (d: number, length: number): string => words(Array.from({ length }, (_, i) => 100 * d + i));
const tokenizer = wordTokenizer(100_000, 0);

async function fragments(documents: readonly string[], options: { limit?: number; seed?: number; tokenizer?: Tokenizer } = {}) {
  const counts = noFragments();
  const chunks = await gather(paperFragments({ documents, tokenizer, limit: 1000, seed: 1, ...options }, counts));
  const ids = chunks.flatMap((chunk) => [...chunk]);
  return { counts, rows: Array.from({ length: ids.length / 64 }, (_, i) => ids.slice(64 * i, 64 * i + 64)) };
}

test('one fragment of 64 tokens from each document that has as many, from a place of its own', async () => {
  const lengths = [64, 63, 100, 65, 10, 99];
  const documents = lengths.map((length, i) => document(i + 1, length));
  const { counts, rows } = await fragments(documents);
  assert.deepEqual(counts, { documents: 6, tooShort: 2, undecodable: 0, fragments: 4 });
  assert.deepEqual(rows.map((row) => Math.floor(row[0]! / 100)), [1, 3, 4, 6], 'in the order of documents');
  rows.forEach((row) => {
    const d = Math.floor(row[0]! / 100);
    const start = row[0]! - 100 * d;
    assert.deepEqual(row, Array.from({ length: 64 }, (_, i) => row[0]! + i), 'tokens of one document, in order, no separator');
    assert.ok(start + 64 <= lengths[d - 1]!);
  });
});

test('places are spread over all that are possible, and depend on the seed', async () => {
  const documents = Array.from({ length: 600 }, () => document(1, 66));
  const starts = (await fragments(documents)).rows.map((row) => row[0]! - 100);
  for (const start of [0, 1, 2]) {
    const share = starts.filter((s) => s === start).length / 600;
    assert.ok(Math.abs(share - 1 / 3) < 0.08, `place ${start}: ${share}`);
  }
  assert.deepEqual((await fragments(documents)).rows.map((row) => row[0]! - 100), starts, 'repeatable');
  assert.notDeepEqual((await fragments(documents, { seed: 2 })).rows.map((row) => row[0]! - 100), starts);
});

test('fragments whose text holds U+FFFD are dropped and counted; the limit is of documents read', async () => {
  const damaged: Tokenizer = { ...tokenizer, decode: (ids) => Array.from(ids, (id) => (id === 230 ? '\ufffd' : `w${id}`)).join(' ') };
  const documents = [document(1, 64), document(2, 64), document(3, 64), document(4, 64)];
  const { counts, rows } = await fragments(documents, { tokenizer: damaged, limit: 3 });
  assert.deepEqual(counts, { documents: 3, tooShort: 0, undecodable: 1, fragments: 2 });
  assert.deepEqual(rows.map((row) => row[0]), [100, 300]);
});

test('a text without a single long enough document is refused', async () => {
  await assert.rejects(fragments([document(1, 20)]), (error: unknown) => error instanceof CallerError && /none of 1 documents/.test(error.message));
});
