import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { checkTokenizer } from '../../../src/adapters/tokenizers/checkTokenizer.ts';
import { openTokenizer } from '../../../src/adapters/tokenizers/openTokenizer.ts';

const BYTE_LEVEL = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
const SMALL = {
  added_tokens: [{ id: 3, content: '<end>', single_word: false, lstrip: false, rstrip: false, normalized: false, special: true }],
  normalizer: null,
  pre_tokenizer: BYTE_LEVEL,
  post_processor: null,
  decoder: BYTE_LEVEL,
  model: { type: 'BPE', vocab: { a: 0, b: 1, ab: 2 }, merges: ['a b'] },
};

function folderWith(t: TestContext, files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'tokenizer-test-'));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  return folder;
}

test('sizes, special ids and hash come from the files', async (t) => {
  const files = { 'tokenizer.json': JSON.stringify(SMALL), 'tokenizer_config.json': JSON.stringify({ eos_token: { content: '<end>' } }) };
  const tokenizer = await openTokenizer(folderWith(t, files));
  assert.equal(tokenizer.size, 4);
  assert.equal(tokenizer.eosId, 3);
  assert.equal(tokenizer.bosId, null);
  assert.deepEqual([...tokenizer.encode('abba<end>')], [2, 1, 0, 3]);
  assert.equal(tokenizer.decode([2, 1, 0, 3]), 'abba<end>');
  assert.match(tokenizer.hash, /^[0-9a-f]{64}$/);
  const other = await openTokenizer(folderWith(t, { 'tokenizer.json': `${JSON.stringify(SMALL)} ` }));
  assert.notEqual(other.hash, tokenizer.hash);
});

test('ids the tokenizer has not are refused', async (t) => {
  const tokenizer = await openTokenizer(folderWith(t, { 'tokenizer.json': JSON.stringify(SMALL) }));
  for (const id of [4, -1, NaN]) assert.throws(() => tokenizer.token(id), { code: 'BAD_INPUT', message: /expected 0 to 3/ });
});

test('no files, files that are no tokenizer: named errors', async (t) => {
  await assert.rejects(openTokenizer(folderWith(t, {})), { code: 'NOT_FOUND', message: /tokenizer\.json, or vocab\.json with merges\.txt/ });
  await assert.rejects(openTokenizer(folderWith(t, { 'vocab.json': '{}' })), { code: 'NOT_FOUND' });
  await assert.rejects(openTokenizer(folderWith(t, { 'tokenizer.json': '{"model"' })), { code: 'BAD_MODEL_FILE', message: /not JSON/ });
  await assert.rejects(openTokenizer(folderWith(t, { 'tokenizer.json': '7' })), { code: 'BAD_MODEL_FILE', message: /JSON object/ });
  await assert.rejects(openTokenizer(folderWith(t, { 'tokenizer.json': '{}' })), { code: 'BAD_MODEL_FILE', message: /model\.vocab/ });
  const odd = { ...SMALL, pre_tokenizer: { type: 'Nonesuch' } };
  await assert.rejects(openTokenizer(folderWith(t, { 'tokenizer.json': JSON.stringify(odd) })), { code: 'BAD_MODEL_FILE', message: /Nonesuch/ });
});

test('a tokenizer with more ids than the model has rows is refused, fewer is fine', async (t) => {
  const tokenizer = await openTokenizer(folderWith(t, { 'tokenizer.json': JSON.stringify(SMALL) }));
  assert.throws(() => checkTokenizer(tokenizer, { name: 'm', vocabSize: 3 }), { code: 'TOKENIZER_MISMATCH', message: /ids up to 3, model m has a vocabulary of 3/ });
  checkTokenizer(tokenizer, { name: 'm', vocabSize: 4 });
  checkTokenizer(tokenizer, { name: 'm', vocabSize: 128 });
});
