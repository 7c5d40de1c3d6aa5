import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { openGenerator } from '../../src/adapters/ort/openGenerator.ts';
import { openSubjectModel } from '../../src/adapters/ort/openSubjectModel.ts';
import { openTokenizer } from '../../src/adapters/tokenizers/openTokenizer.ts';
import { Gate } from '../../src/catalog/gate.ts';
import { createLiveModels } from '../../src/catalog/liveModels.ts';
import { promptIds } from '../../src/catalog/prompt.ts';
import { createSteerService, type SteerService } from '../../src/catalog/steer.ts';
import type { DictionaryWeights } from '../../src/domain/dictionary.ts';
import type { SteerInput, SteerOperation } from '../../src/domain/steer.ts';
import type { CatalogReader } from '../../src/ports/CatalogReader.ts';
import type { GenerateRequest, Generator } from '../../src/ports/Generator.ts';
import type { LiveModels } from '../../src/ports/LiveModels.ts';
import type { Tokenizer } from '../../src/ports/Tokenizer.ts';
import { randomDictionary } from '../helpers/randomDictionary.ts';

const MODEL = resolve(import.meta.dirname, '../../models/demo');
const PROMPT = 'Once upon a time';
const NONE = { weightsHash: 'none' };

let live: LiveModels;
let reader: CatalogReader;
let service: SteerService;
let tokenizer: Tokenizer;
let generator: Generator;
let planted: DictionaryWeights;
/** The token that feature 0 writes into the last stream. */
let token: number;
const written: GenerateRequest[] = [];

before(async () => {
  const model = await openSubjectModel(MODEL, { name: 'demo', device: 'cpu', workers: 1 });
  tokenizer = await openTokenizer(MODEL);
  token = tokenizer.encode(' little')[0];
  planted = randomDictionary('3-planted', 'resid_post.3', model.info.dModel, 8, { seed: 1 });
  const { dModel } = model.info;
  planted.decoder.set((await model.unembedding()).subarray(token * dModel, (token + 1) * dModel), 0);
  reader = {
    models: async () => [{ ...model.info, source: MODEL }, { ...model.info, ...NONE, name: 'away' }],
    dictionaries: async ({ model: name }: { model: string }) => (name === 'demo' ? [{ ...planted.config, model: 'demo', location: 'here' }] : []),
  } as unknown as CatalogReader;
  live = createLiveModels({
    reader,
    openModel: () => Promise.resolve(model),
    openTokenizer: () => Promise.resolve(tokenizer),
    openGenerator: async (source, name, beside) => {
      generator = await openGenerator(source, { name, device: 'cpu', beside });
      const generate: Generator['generate'] = (request, hear) => (written.push(request), generator.generate(request, hear));
      return { info: generator.info, generate, score: (...args) => generator.score(...args), close: () => generator.close() };
    },
    openChatTemplate: () => Promise.resolve(null),
    readDictionary: () => Promise.resolve(planted),
    dictionaryBytes: 1e9,
  });
  service = createSteerService({ reader, live, codeVersion: 'test' });
});
after(() => live.close());

function inputOf(operation: SteerOperation, rest: Partial<SteerInput> = {}, index = 0): SteerInput {
  const features = [{ feature: { model: 'demo', dictionary: '3-planted', index }, operation }];
  return { model: 'demo', prompt: PROMPT, features, maxTokens: 12, temperature: 0, topP: 1, seed: 0, steerPrompt: false, chat: false, ...rest };
}

const steer = (input: SteerInput) => service.steer(input, new Gate(2, 8));

test('a feature clamped high has its token written; the other side is the plain text', async () => {
  const run = await steer(inputOf({ kind: 'set', value: 400 }));
  assert.ok(run.steered.tokens.every(({ id }) => id === token));
  assert.equal(run.steered.text, ' little'.repeat(12));
  assert.equal(run.firstDifference, 0);
  const mean = (name: 'logProb' | 'unsteeredLogProb'): number => run.steered.tokens.reduce((sum, each) => sum + each[name], 0) / 12;
  assert.ok(mean('logProb') > mean('unsteeredLogProb') + 1, `${mean('logProb')} steered, ${mean('unsteeredLogProb')} not`);
  const ids = promptIds(tokenizer, 1000, PROMPT, 'prompt');
  const plain = await generator.generate({ ids, maxTokens: 12, temperature: 0, topP: 1, seed: 0, stopIds: [tokenizer.eosId!], topLogprobs: 0 });
  assert.deepEqual(run.unsteered.tokens, plain.tokens.map(({ id, logprob }) => ({ id, token: tokenizer.token(id), logProb: logprob, unsteeredLogProb: logprob })));
  assert.equal(tokenizer.decode(ids) + run.unsteered.text, tokenizer.decode([...ids, ...plain.tokens.map(({ id }) => id)]));
  assert.deepEqual(run.promptTokens, Array.from(ids, (id) => tokenizer.token(id)));
  assert.deepEqual(run.hookPoints, ['resid_post.3']);
  assert.equal(run.steered.finish, 'length');
});

test('a steering that changes nothing writes the same text, with the same probabilities', async () => {
  for (const operation of [{ kind: 'scale', factor: 1 }, { kind: 'add', value: 0 }] as const) {
    const { steered, unsteered, firstDifference } = await steer(inputOf(operation, { steerPrompt: true, temperature: 0.8, seed: 4 }));
    assert.equal(firstDifference, null);
    assert.equal(steered.text, unsteered.text);
    for (const { logProb, unsteeredLogProb } of steered.tokens) assert.ok(Math.abs(logProb - unsteeredLogProb) < 1e-4);
  }
});

test('draws follow the seed; the prompt is edited where asked', async () => {
  const drawn = async (rest: Partial<SteerInput>) => (await steer(inputOf({ kind: 'add', value: 3 }, { temperature: 1, ...rest }))).steered;
  const [one, two] = await Promise.all([drawn({ seed: 1 }), drawn({ seed: 2 })]);
  assert.notEqual(one.text, two.text);
  const earlier = inputOf({ kind: 'add', value: 5 }, { steerPrompt: true, seed: 9 });
  const at = written.length;
  await steer(earlier);
  assert.deepEqual(written.slice(at).map(({ steering }) => steering?.from), [undefined, 0]);
  await steer({ ...earlier, steerPrompt: false });
  assert.equal(written.at(-1)!.steering!.from, written.at(-1)!.ids.length - 1);
});

test('equal requests run once, kept ones not again; the plain text is shared by all steerings of it', async () => {
  const at = written.length;
  const input = inputOf({ kind: 'add', value: 7 }, { seed: 77 });
  const gate = new Gate(1, 0);
  const [first, second] = await Promise.all([service.steer(input, gate), service.steer(input, gate)]);
  assert.equal(first, second);
  assert.equal(await service.steer(input, gate), first);
  const other = await service.steer(inputOf({ kind: 'add', value: 8 }, { seed: 77 }), gate);
  assert.notEqual(other.id, first.id);
  assert.deepEqual(written.slice(at).map(({ steering }) => steering !== undefined), [false, true, true]);
});

test('too many at once are refused, and can come back', async () => {
  const gate = new Gate(1, 1);
  const inputs = [11, 12, 13, 14].map((seed) => inputOf({ kind: 'ablate' }, { seed }));
  const settled = await Promise.allSettled(inputs.map((input) => service.steer(input, gate)));
  assert.deepEqual(settled.map(({ status }) => status), ['fulfilled', 'fulfilled', 'rejected', 'rejected']);
  for (const one of settled) if (one.status === 'rejected') assert.equal((one.reason as { code: string }).code, 'BUSY');
  assert.equal((await service.steer(inputs[3], gate)).input.seed, 14);
});

test('a request that is late is told so: one that began is found when asked for again, one that waited leaves the queue', async () => {
  const hasty = createSteerService({ reader, live, codeVersion: 'test', seconds: 0.01 });
  const gate = new Gate(1, 1);
  const at = written.length;
  const input = inputOf({ kind: 'add', value: 9 }, { seed: 99, maxTokens: 256 });
  await assert.rejects(hasty.steer(input, gate), { code: 'TIMED_OUT', message: /still being written/ });
  await assert.rejects(hasty.steer({ ...input, seed: 100 }, gate), { code: 'TIMED_OUT', message: /nothing was written/ });
  // The one place to wait is free again; its turn comes when the first has ended.
  await gate.run(() => Promise.resolve());
  assert.equal((await hasty.steer(input, gate)).steered.finish, 'length');
  assert.deepEqual(written.slice(at).map(({ seed }) => seed), [99, 99]);
});

test('what cannot be asked is said by name, with its field', async () => {
  const [feature] = inputOf({ kind: 'ablate' }).features;
  const rejected = (rest: Partial<SteerInput>, code: string, field: string[]) => assert.rejects(steer(inputOf({ kind: 'ablate' }, rest)), { code, field });
  const of = (change: object, operation: SteerOperation = { kind: 'ablate' }) => ({ features: [{ feature: { ...feature.feature, ...change }, operation }] });
  await rejected({ model: 'nobody' }, 'NOT_FOUND', ['model']);
  await rejected(of({ model: 'away' }), 'BAD_INPUT', ['features', '0', 'feature']);
  await rejected(of({ dictionary: '9-none' }), 'NOT_FOUND', ['features', '0', 'feature']);
  await rejected(of({ index: 8 }), 'NOT_FOUND', ['features', '0', 'feature']);
  for (const value of [NaN, Infinity, 1e7]) {
    await rejected(of({}, { kind: 'set', value }), 'BAD_INPUT', ['features', '0', 'value']);
    await rejected(of({}, { kind: 'scale', factor: -value }), 'BAD_INPUT', ['features', '0', 'value']);
  }
  await rejected({ features: [] }, 'BAD_INPUT', ['features']);
  await rejected({ features: [feature, feature] }, 'BAD_INPUT', ['features', '1', 'feature']);
  await rejected({ features: Array.from({ length: 65 }, () => feature) }, 'LIMIT_EXCEEDED', ['features']);
  await rejected({ prompt: '' }, 'BAD_INPUT', ['prompt']);
  await rejected({ prompt: 'a'.repeat(20_001) }, 'TEXT_TOO_LONG', ['prompt']);
  await rejected({ prompt: 'the cat sat on the mat '.repeat(800) }, 'TEXT_TOO_LONG', ['prompt']);
  await rejected({ maxTokens: 257 }, 'LIMIT_EXCEEDED', ['maxTokens']);
  await rejected({ maxTokens: 0 }, 'LIMIT_EXCEEDED', ['maxTokens']);
  await rejected({ seed: -1 }, 'LIMIT_EXCEEDED', ['seed']);
  await rejected({ temperature: NaN }, 'BAD_INPUT', ['temperature']);
  await rejected({ topP: 0 }, 'BAD_INPUT', ['topP']);
  await rejected({ chat: true }, 'UNSUPPORTED', ['chat']);
});
