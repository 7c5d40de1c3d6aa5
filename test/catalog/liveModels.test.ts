import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLiveModels } from '../../src/catalog/liveModels.ts';
import type { DictionaryWeights } from '../../src/domain/dictionary.ts';
import type { CatalogReader } from '../../src/ports/CatalogReader.ts';
import type { Generator } from '../../src/ports/Generator.ts';
import type { SubjectModel } from '../../src/ports/SubjectModel.ts';
import type { Tokenizer } from '../../src/ports/Tokenizer.ts';

/** Counts openings; no real part could show when and how often they happen. */
function setup(options: { dictionaryBytes?: number; foundHash?: string; foundGenerator?: string; failFirst?: boolean } = {}) {
  const calls = { model: 0, tokenizer: 0, generator: 0, closed: 0, dictionaries: [] as string[] };
  const reader = {
    models: async () => [{ name: 'm', source: 'folder', weightsHash: 'w', tokenizerHash: 't' }],
    dictionaries: async () => ['a', 'b', 'c'].map((name) => ({ model: 'm', name, location: name, weightsHash: `hash-${name}` })),
  } as unknown as CatalogReader;
  const live = createLiveModels({
    reader,
    dictionaryBytes: options.dictionaryBytes ?? 2 * 4 * 42,
    async openModel() {
      calls.model++;
      await new Promise((resolve) => setImmediate(resolve));
      if (options.failFirst === true && calls.model === 1) throw new Error('disk');
      return { info: { weightsHash: options.foundHash ?? 'w' }, close: async () => void calls.closed++ } as unknown as SubjectModel;
    },
    async openTokenizer() {
      calls.tokenizer++;
      return { hash: 't' } as unknown as Tokenizer;
    },
    async openGenerator(_source, _name, beside) {
      calls.generator++;
      assert.ok(beside.info);
      return { info: { weightsHash: options.foundGenerator ?? 'w' }, close: async () => void calls.closed++ } as unknown as Generator;
    },
    async openChatTemplate() {
      return null;
    },
    async readDictionary(location) {
      calls.dictionaries.push(location);
      const config = { weightsHash: `hash-${location}` };
      // 20 + 20 + 1 + 1 = 42 floats.
      const [encoder, decoder, encoderBias, decoderBias] = [20, 20, 1, 1].map((n) => new Float32Array(n));
      return { config, encoder, decoder, encoderBias, decoderBias } as unknown as DictionaryWeights;
    },
  });
  return { live, calls };
}

test('concurrent requests share one opening, closed once', async () => {
  const { live, calls } = setup();
  const opened = await Promise.all([live.open('m'), live.open('m'), live.open('m')]);
  assert.equal(new Set(opened).size, 1);
  await live.close();
  assert.deepEqual(calls, { model: 1, tokenizer: 1, generator: 0, closed: 1, dictionaries: [] });
});

test('a failed opening is tried again', async () => {
  const { live, calls } = setup({ failFirst: true });
  await assert.rejects(live.open('m'), /disk/);
  assert.ok((await live.open('m')).model);
  assert.equal(calls.model, 2);
});

test('files that changed since they were loaded are refused, and the model is closed', async () => {
  const { live, calls } = setup({ foundHash: 'other' });
  await assert.rejects(live.open('m'), { code: 'MODEL_UNAVAILABLE' });
  assert.equal(calls.closed, 1);
});

test('dictionaries: the least recently used go first, within the byte bound', async () => {
  const { live, calls } = setup();
  for (const name of ['a', 'b', 'a', 'c', 'a', 'b']) await live.dictionary('m', name);
  // c pushes out b (a was used since), and b is read again.
  assert.deepEqual(calls.dictionaries, ['a', 'b', 'c', 'b']);
});

test('one dictionary larger than the bound is still served', async () => {
  const { live, calls } = setup({ dictionaryBytes: 1 });
  await live.dictionary('m', 'a');
  await live.dictionary('m', 'a');
  assert.deepEqual(calls.dictionaries, ['a']);
});

test('unknown names are NOT_FOUND', async () => {
  const { live } = setup();
  await assert.rejects(live.open('x'), { code: 'NOT_FOUND' });
  await assert.rejects(live.dictionary('m', 'x'), { code: 'NOT_FOUND' });
});

test('the model that writes is opened once, beside the one that reads, and closed with it', async () => {
  const { live, calls } = setup();
  const opened = await Promise.all([live.generator('m'), live.open('m'), live.generator('m')]);
  assert.equal(opened[0], opened[2]);
  await assert.rejects(live.generator('n'), { code: 'NOT_FOUND' });
  await assert.rejects(live.chatTemplate('m'), { code: 'UNSUPPORTED', field: ['chat'] });
  await live.close();
  assert.deepEqual(calls, { model: 1, tokenizer: 1, generator: 1, closed: 2, dictionaries: [] });
  const other = setup({ foundGenerator: 'other' });
  await assert.rejects(other.live.generator('m'), { code: 'MODEL_UNAVAILABLE' });
  assert.equal(other.calls.closed, 1);
});
