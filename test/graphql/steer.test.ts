import assert from 'node:assert/strict';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { pino } from 'pino';
import { fileArtefacts } from '../../src/adapters/files/artefacts.ts';
import { openGenerator } from '../../src/adapters/ort/openGenerator.ts';
import { openSubjectModel } from '../../src/adapters/ort/openSubjectModel.ts';
import { openTokenizer } from '../../src/adapters/tokenizers/openTokenizer.ts';
import { promptIds } from '../../src/catalog/prompt.ts';
import { readConfig } from '../../src/config.ts';
import { startServer } from '../../src/main.ts';
import { ask, at, list, type Json } from '../helpers/graphqlClient.ts';
import { randomDictionary } from '../helpers/randomDictionary.ts';
import { loadSeeded } from '../helpers/seedCatalog.ts';
import { withCatalog } from '../helpers/withCatalog.ts';
import { withFolder } from '../helpers/withFolder.ts';

const MODEL = resolve(import.meta.dirname, '../../models/demo');
const PROMPT = 'Once upon a time';
const STEER = `mutation ($input: SteerInput!) { steer(input: $input) { userErrors { code field message } steerRun {
  hash modelName model { name } prompt promptTokens firstDifference maxTokens temperature topP seed steerPrompt chat weightsHash codeVersion milliseconds
  features { address feature { index } hookPoint operation value }
  steered { ...T } unsteered { ...T } } } }
  fragment T on WrittenText { text finish logProb unsteeredLogProb tokens { id token logProb unsteeredLogProb } }`;

test('steering a real model through the whole server', async (t) => {
  await withFolder((home) =>
    withCatalog(async (catalog) => {
      const model = await openSubjectModel(MODEL, { device: 'cpu', workers: 1 });
      const generator = await openGenerator(MODEL, { device: 'cpu', beside: model });
      const tokenizer = await openTokenizer(MODEL);
      const { dModel, vocabSize } = model.info;
      const [token] = tokenizer.encode(' little');
      await catalog.writer.loadModel({ ...model.info, source: MODEL }, Array.from({ length: vocabSize }, (_, id) => (id < tokenizer.size ? tokenizer.token(id) : '')));
      // Feature 0 writes the token's own direction into the last stream.
      const drawn = randomDictionary('3-planted', 'resid_post.3', dModel, 8, { seed: 1, architecture: 'topk', k: 3 });
      drawn.decoder.set((await model.unembedding()).subarray(token! * dModel, (token! + 1) * dModel));
      const { config } = await fileArtefacts().writeDictionary(join(home, 'planted'), { ...drawn, config: { ...drawn.config, model: 'demo' } }, null);
      await loadSeeded(catalog.writer, config, 'planted', 3);
      const server = await startServer(
        { ...readConfig({}), home, host: '127.0.0.1', port: 0, databaseUrl: catalog.url, device: 'cpu', workers: 1, logLevel: 'silent', hubToken: undefined },
        pino({ level: 'silent' }),
      );
      const steer = (change: Record<string, Json>): Promise<Json> =>
        ask(server.url, STEER, { input: { model: 'demo', prompt: PROMPT, features: [{ feature: 'demo/3-planted/0', operation: 'SET', value: 400 }], maxTokens: 10, ...change } });
      try {
        await t.test('a feature clamped high has its token written; beside it stands the plain text', async () => {
          const data = await steer({});
          assert.deepEqual(at(data, 'steer.userErrors'), []);
          const run = at(data, 'steer.steerRun');
          assert.equal(at(run, 'steered.text'), ' little'.repeat(10));
          const ids = promptIds(tokenizer, 1000, PROMPT, 'prompt');
          const plain = await generator.generate({ ids, maxTokens: 10, temperature: 0, topP: 1, seed: 0, stopIds: [tokenizer.eosId!], topLogprobs: 0 });
          assert.deepEqual(list(run, 'unsteered.tokens'), plain.tokens.map(({ id, logprob }) => ({ id, token: tokenizer.token(id), logProb: logprob, unsteeredLogProb: logprob })));
          assert.equal(at(run, 'firstDifference'), 0);
          assert.equal(at(run, 'steered.finish'), 'LENGTH');
          assert.ok(Number(at(run, 'steered.logProb')) > Number(at(run, 'steered.unsteeredLogProb')) + 10);
          const sum = list(run, 'steered.tokens').reduce<number>((total, each) => total + Number(at(each, 'logProb')), 0);
          assert.ok(Math.abs(Number(at(run, 'steered.logProb')) - sum) < 1e-9);
          assert.deepEqual(list(run, 'features'), [{ address: 'demo/3-planted/0', feature: { index: 0 }, hookPoint: 'resid_post.3', operation: 'SET', value: 400 }]);
          assert.deepEqual(
            ['modelName', 'model.name', 'prompt', 'maxTokens', 'temperature', 'topP', 'seed', 'steerPrompt', 'chat', 'weightsHash'].map((name) => at(run, name)),
            ['demo', 'demo', PROMPT, 10, 0, 1, 0, false, false, model.info.weightsHash],
          );
          assert.equal(list(run, 'promptTokens').length, ids.length);
          assert.deepEqual(await steer({}), data);
        });

        await t.test('what is wrong is a user error with its field', async () => {
          const of = (change: Record<string, Json>) => ({ features: [{ feature: 'demo/3-planted/1', operation: 'ABLATE', ...change }] });
          for (const [change, code, field] of [
            [{ model: 'nobody' }, 'NOT_FOUND', ['model']],
            [of({ feature: 'demo' }), 'BAD_INPUT', ['features', '0', 'feature']],
            [of({ feature: 'other/3-planted/1' }), 'BAD_INPUT', ['features', '0', 'feature']],
            [of({ feature: 'demo/3-planted/8' }), 'NOT_FOUND', ['features', '0', 'feature']],
            [of({ value: 1 }), 'BAD_INPUT', ['features', '0', 'value']],
            [of({ operation: 'ADD' }), 'BAD_INPUT', ['features', '0', 'value']],
            [of({ operation: 'SCALE', value: 1e300 }), 'BAD_INPUT', ['features', '0', 'value']],
            [{ prompt: '' }, 'BAD_INPUT', ['prompt']],
            [{ prompt: 'the cat sat on the mat '.repeat(800) }, 'TEXT_TOO_LONG', ['prompt']],
            [{ maxTokens: 257 }, 'LIMIT_EXCEEDED', ['maxTokens']],
            [{ chat: true }, 'UNSUPPORTED', ['chat']],
          ] as const) {
            const data = await steer(change as Record<string, Json>);
            assert.equal(at(data, 'steer.steerRun'), null);
            assert.equal(at(data, 'steer.userErrors.0.code'), code, JSON.stringify(change).slice(0, 80));
            assert.deepEqual(at(data, 'steer.userErrors.0.field'), field);
          }
        });
      } finally {
        await server.close();
        await Promise.all([generator.close(), model.close()]);
      }
    }),
  );
});
