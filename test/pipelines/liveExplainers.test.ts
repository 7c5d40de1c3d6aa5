import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CallerError, OutsideError } from '../../src/domain/errors.ts';
import type { FeatureAnalysis } from '../../src/domain/feature.ts';
import { liveExplainers, type LiveExplainersInput } from '../../src/pipelines/liveExplainers.ts';
import { openChatModel } from '../../src/adapters/openai/openaiChat.ts';
import type { ExplainFeatureRequest } from '../../src/ports/FeatureExplainers.ts';
import type { LiveModels } from '../../src/ports/LiveModels.ts';
import { hashJudge, hashLevels } from '../helpers/hashJudge.ts';
import { withOpenaiServer } from '../helpers/openaiServer.ts';
import { plantedAnalysis, plantedDictionary, plantedModel, plantedRows, plantedTokenizer, word } from '../interp/plantedModel.ts';
import type { Rule } from '../interp/plantedModel.ts';

/** Feature j fires on one word; the last never. */
const words = [' gave', ' red', ' Anna'];
const rules: Rule[] = [...words.map((text): Rule => (ids, t) => (ids[t] === word(text) ? 1 + ((ids[t - 1] ?? 0) % 3) / 4 : 0)), () => 0];
const model = plantedModel(rules);
const dictionary = plantedDictionary(rules);
const analysis = plantedAnalysis(rules, plantedRows(150, 64, 3), 4);
const live: LiveModels = {
  open: () => Promise.resolve({ model, tokenizer: plantedTokenizer }),
  dictionary: () => Promise.resolve(dictionary),
  generator: () => Promise.reject(new Error('nothing is written here')),
  chatTemplate: () => Promise.reject(new Error('nothing is written here')),
  close: () => Promise.resolve(),
};
const silent = { record: () => Promise.resolve() };

function request(feature: FeatureAnalysis, change: Partial<ExplainFeatureRequest> = {}): ExplainFeatureRequest {
  const background = analysis.filter(({ index }) => index !== feature.index).flatMap(({ exemplars }) => exemplars.filter(({ kind }) => kind === 'random'));
  return { model: 'planted', dictionary: 'planted', feature, background, method: 'pattern', scorers: [], ...change };
}

function explainers(change: Partial<LiveExplainersInput> = {}) {
  const none = { writer: false, judge: false, embeddings: false };
  return liveExplainers({ live, configured: none, openModels: () => Promise.reject(new Error('no models are configured')), badReplies: silent, codeVersion: 'test', ...change });
}

test('without a language model: patterns only, scored by themselves; equal input gives the equal key and outcome', async () => {
  const one = explainers();
  assert.deepEqual(one.methods, ['pattern']);
  assert.deepEqual(one.scorers, ['simulation']);
  const first = await one.explain(request(analysis[1]!));
  assert.ok(first.outcome.kind === 'explained');
  assert.match(first.outcome.explanation.description, /red/);
  assert.ok(first.outcome.explanation.scores[0]!.value! > 0.9);
  assert.equal(first.run.stage, 'explain-feature');
  // Another feature between, and another process.
  await one.explain(request(analysis[0]!));
  for (const again of [await one.explain(request(analysis[1]!)), await explainers().explain(request(analysis[1]!))]) {
    assert.deepEqual(again.outcome, first.outcome);
    assert.equal(again.run.key, first.run.key);
    assert.deepEqual(again.run.params, first.run.params);
  }
  const otherText = await one.explain(request(analysis[1]!, { background: analysis[0]!.exemplars }));
  assert.notEqual(otherText.run.key, first.run.key, 'other background is other input');
});

test('the vocabulary is read once a dictionary, whoever asks at once', async () => {
  const one = explainers();
  const before = model.forwards;
  await one.explain(request(analysis[3]!));
  const reading = model.forwards - before;
  assert.ok(reading > 0);
  await Promise.all([one.explain(request(analysis[3]!)), one.explain(request(analysis[3]!))]);
  assert.equal(model.forwards, before + reading, 'a silent feature needs nothing but the vocabulary, which is known');
});

test('a silent feature is skipped with its reason, never an explanation', async () => {
  const { outcome } = await explainers().explain(request(analysis[3]!));
  assert.deepEqual(outcome, { kind: 'skipped', index: 3, reason: 'never active in the analysed text' });
});

test('what is not offered is refused, with what is', async () => {
  const caller = (pattern: RegExp) => (error: unknown) => error instanceof CallerError && error.code === 'BAD_INPUT' && pattern.test(error.message);
  await assert.rejects(explainers().explain(request(analysis[0]!, { method: 'max-act' })), caller(/expected one of pattern \(no language model is configured/));
  await assert.rejects(explainers().explain(request(analysis[0]!, { scorers: ['detection'] })), caller(/expected some of simulation$/));
});

test('with a language model: all methods, its name and prompt with every score; a model that cannot be opened is tried again', async () => {
  await withOpenaiServer({ reply: hashJudge, alternatives: hashLevels }, async (server) => {
    let opened = 0;
    const chat = await openChatModel({ baseUrl: server.url, model: 'rules', concurrency: 4 });
    const one = explainers({
      configured: { writer: true, judge: true, embeddings: false },
      openModels: () => (++opened === 1 ? Promise.reject(new OutsideError('openai', 'down')) : Promise.resolve({ writer: chat, judge: chat, embeddings: null })),
    });
    try {
      assert.deepEqual(one.methods, ['pattern', 'token-act-pair', 'max-act', 'max-act-logits']);
      assert.deepEqual(one.scorers, ['simulation', 'simulation-logprobs', 'simulation-json', 'detection', 'fuzzing']);
      const asked = request(analysis[2]!, { method: 'token-act-pair', scorers: ['simulation', 'detection'] });
      await assert.rejects(one.explain(asked), /down/);
      const { run, outcome } = await one.explain(asked);
      assert.ok(outcome.kind === 'explained');
      const { explanation } = outcome;
      assert.equal(explanation.explainer, 'token-act-pair-v1@rules');
      assert.match(explanation.description, /"Anna"| Anna/);
      assert.ok(explanation.scores.length > 3 && explanation.scores.every(({ judge, promptVersion }) => judge === 'rules' && promptVersion !== null));
      const before = server.stats().paid.size;
      assert.deepEqual(await one.identify(asked), { explainer: 'token-act-pair-v1@rules', run: run.key });
      assert.equal(server.stats().paid.size, before, 'asks nothing');
      assert.equal((await one.explain(asked)).run.key, run.key);
      assert.equal(opened, 2, 'opened once after the failure');
    } finally {
      await chat.close();
    }
  });
});
