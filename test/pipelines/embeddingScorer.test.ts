import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openEmbeddingModel } from '../../src/adapters/openai/openaiEmbeddings.ts';
import { OutsideError } from '../../src/domain/errors.ts';
import type { Score } from '../../src/domain/feature.ts';
import { refOf, splitFragments } from '../../src/interp/split.ts';
import { embeddingScorer } from '../../src/pipelines/embeddingScorer.ts';
import { openSilentWindows } from '../../src/pipelines/silentWindows.ts';
import type { EmbeddingModel } from '../../src/ports/EmbeddingModel.ts';
import type { ScoreAttempt, ScoreTask } from '../../src/ports/Scorer.ts';
import { withOpenaiServer } from '../helpers/openaiServer.ts';
import { plantedAnalysis, plantedDictionary, plantedModel, plantedRows, plantedTokenizer, word } from '../interp/plantedModel.ts';
import type { Rule } from '../interp/plantedModel.ts';

const WORDS = [' cup', ' ball', ' ran', ' singing', ' house', ' garden'];
const rows = plantedRows(300, 64, 1);
const rules: readonly Rule[] = [...WORDS.map((text): Rule => (ids, t) => (ids[t] === word(text) ? 1 + t / 64 : 0)), () => 0];
const analysis = plantedAnalysis(rules, rows, 2);
const silent = await openSilentWindows({
  model: plantedModel(rules), dictionary: plantedDictionary(rules), fragments: analysis.flatMap(({ exemplars }) => exemplars.filter(({ kind }) => kind === 'random')), length: 32,
}); // prettier-ignore

/** Bag of words, unit length. */
function bagOfWords(): EmbeddingModel & { readonly embedded: string[] } {
  const places = new Map<string, number>();
  const embedded: string[] = [];
  return {
    name: 'bag',
    identity: { model: 'bag' },
    embedded,
    embed(texts) {
      embedded.push(...texts);
      return Promise.resolve(texts.map((text) => {
        const vector = new Float32Array(64);
        for (const [part] of text.matchAll(/\w+/g)) {
          if (!places.has(part)) places.set(part, places.size);
          vector[places.get(part)!]++;
        }
        const norm = Math.hypot(...vector) || 1;
        return vector.map((v) => v / norm);
      }));
    },
  };
}
function taskOf(index: number, description: string): ScoreTask {
  const { explain, scoredTop, scoredRandom, calibration, active } = splitFragments(analysis[index].exemplars);
  return { index, explainer: 'someone', description, detail: null, top: scoredTop, random: scoredRandom, calibration, active, explained: explain.map(refOf) };
}
const scoreOf = (attempt: ScoreAttempt): Score => (attempt.kind === 'scored' ? attempt.scores[0] : assert.fail(attempt.reason));

test("the right explanation is nearer to text where the feature is active, another feature's is not", async () => {
  const embeddings = bagOfWords();
  const scorer = embeddingScorer({ embeddings, tokenizer: plantedTokenizer, silent, seed: 5 });
  for (const attempt of await scorer.score(WORDS.map((text, i) => taskOf(i, text)))) {
    const { scorer: name, value, low, high, n, fragments, judge, promptVersion } = scoreOf(attempt);
    assert.deepEqual([name, judge, promptVersion, n], ['embedding-auc', 'bag', null, fragments.length]);
    // Words that run into the next one ("ranthe") are missed.
    assert.ok(value! > 0.95 && low! > 0.9 && low! <= value! && value! <= high!);
    assert.ok(n >= 40);
  }
  const wrong = (await scorer.score(WORDS.map((_, i) => taskOf(i, WORDS[(i + 2) % WORDS.length])))).map(scoreOf);
  const mean = wrong.reduce((sum, { value }) => sum + value!, 0) / wrong.length;
  assert.ok(Math.abs(mean - 0.5) < 0.07, `${wrong.map(({ value }) => value)}`);
  assert.ok(wrong.filter(({ low, high }) => low! <= 0.5 && 0.5 <= high!).length >= 5);
});

test('the same over HTTP', () => {
  const bag = new Map<string, number>();
  const embed = (text: string): number[] => {
    const vector = Array.from({ length: 64 }, () => 0.001);
    for (const [part] of text.matchAll(/\w+/g)) {
      if (!bag.has(part)) bag.set(part, bag.size % 64);
      vector[bag.get(part)!]++;
    }
    return vector;
  };
  return withOpenaiServer({ embed }, async (server) => {
    const embeddings = openEmbeddingModel({ baseUrl: server.url, apiKey: 'k', model: 'bag', backoffMs: 1, timeoutMs: 10_000 });
    const scorer = embeddingScorer({ embeddings, tokenizer: plantedTokenizer, silent, seed: 5 });
    for (const { value, n } of (await scorer.score(WORDS.map((text, i) => taskOf(i, text)))).map(scoreOf)) assert.ok(value! > 0.9 && n >= 40, `${value}`);
    embeddings.close();
  });
});

test('a description that is equally near to everything scores one half', async () => {
  const [attempt] = await embeddingScorer({ embeddings: bagOfWords(), tokenizer: plantedTokenizer, silent, seed: 5 }).score([taskOf(0, 'something else')]);
  assert.equal(scoreOf(attempt).value, 0.5);
});

test('a silent window is embedded once for all features; text between documents is no word', async () => {
  const embeddings = bagOfWords();
  const scorer = embeddingScorer({ embeddings, tokenizer: plantedTokenizer, silent, seed: 5 });
  const tasks = WORDS.map((text, i) => taskOf(i, text));
  const attempts = await Promise.all([scorer.score(tasks), scorer.score(tasks)]);
  assert.deepEqual(attempts[0], attempts[1]);
  const active = attempts[0].reduce((sum, attempt) => sum + scoreOf(attempt).n / 2, 0);
  assert.ok(embeddings.embedded.length <= 2 * (active + tasks.length) + silent.size);
  assert.ok(!embeddings.embedded.some((text) => text.includes('<doc>')));
});

test('a failure outside is thrown, and what it was about is asked again the next time', async () => {
  const working = bagOfWords();
  let down = true;
  const embeddings: EmbeddingModel = { ...working, embed: (texts) => (down ? Promise.reject(new OutsideError('embeddings', 'no answer')) : working.embed(texts)) };
  const scorer = embeddingScorer({ embeddings, tokenizer: plantedTokenizer, silent, seed: 5 });
  await assert.rejects(scorer.score([taskOf(0, WORDS[0])]), OutsideError);
  down = false;
  assert.ok(scoreOf((await scorer.score([taskOf(0, WORDS[0])]))[0]).value! > 0.95);
});

test('too few windows: no score, with the reason', async () => {
  const embeddings = bagOfWords();
  const [attempt] = await embeddingScorer({ embeddings, tokenizer: plantedTokenizer, silent, seed: 5 }).score([taskOf(WORDS.length, 'anything')]);
  const { value, undefinedReason, n } = scoreOf(attempt);
  assert.deepEqual([value, undefinedReason, n], [null, 'fewer than 10 held-out windows where it is active', 0]);
  assert.equal(embeddings.embedded.length, 0);
});
