import assert from 'node:assert/strict';
import { test } from 'node:test';
import { evCorrelation } from '../../src/interp/correlation.ts';
import type { PatternDetail } from '../../src/interp/pattern/explainPatterns.ts';
import { compileTrie, simulate } from '../../src/interp/pattern/simulate.ts';
import { splitFragments } from '../../src/interp/split.ts';
import { openPatternExplainer } from '../../src/pipelines/patternExplainer.ts';
import { plantedAnalysis, plantedDictionary, plantedModel, plantedRows, plantedTokenizer, word } from '../interp/plantedModel.ts';
import type { Rule } from '../interp/plantedModel.ts';

const NUMBERS = [' 12', ' 7', ' 1999', ' 345'].map(word);
const THE = ['the', ' the', 'The'].map(word);

interface Planted {
  readonly name: string;
  readonly rule: Rule;
  readonly description: RegExp;
  /** Lower bound of the held-out top-and-random correlation of the true explanation. */
  readonly score: number;
}

const PLANTED: readonly Planted[] = [
  { name: 'one token', rule: (ids, t) => (ids[t] === word(' book') ? 3 : 0), description: /^the token " book"/, score: 0.9 },
  {
    name: 'a token after one of two others',
    rule: (ids, t) => (t > 0 && ids[t] === word(' to') && [word(' gave'), word(' handed')].includes(ids[t - 1]) ? 2 : 0),
    description: /^" to" after (" handed" or " gave"|" gave" or " handed")/,
    score: 0.9,
  },
  { name: 'a class of tokens, some never seen', rule: (ids, t) => (NUMBERS.includes(ids[t]) ? 1 + ids[t] / 100 : 0), description: /^numbers such as/, score: 0.9 },
  { name: 'whatever follows a token', rule: (ids, t) => (t > 0 && ids[t - 1] === word(' not') ? 4 : 0), description: /^text after " not"/, score: 0.9 },
  { name: 'all spellings of a word', rule: (ids, t) => (THE.includes(ids[t]) ? 1 : 0), description: /^the token "the"/, score: 0.9 },
  { name: 'the start of a document', rule: (_, t) => (t === 1 ? 5 : 0), description: /^the first tokens of a text/, score: 0.9 },
  // Needs more context than is tried: the explainer must say so instead of claiming the token alone.
  { name: 'a place far from the start', rule: (ids, t) => (t > 30 && ids[t] === word(' to') ? 1 : 0), description: /^" to" where the last \d+ tokens alone do not suffice/, score: 0.5 },
];

const rules = PLANTED.map((p) => p.rule);
const rows = plantedRows(300, 64, 1);
const analysis = plantedAnalysis(rules, rows, 2);
const model = plantedModel(rules);
const background = Int32Array.from(rows.slice(0, 50).flatMap((row) => [...row]));

async function explainAll(): Promise<{ description: string; detail: PatternDetail }[]> {
  const explainer = await openPatternExplainer({ model, tokenizer: plantedTokenizer, dictionary: plantedDictionary(rules), background, seed: 7 });
  const attempts = await explainer.explain(
    analysis.map((a) => ({ index: a.index, fragments: splitFragments(a.exemplars).explain, topLogits: a.topLogits, bottomLogits: a.bottomLogits })),
  );
  return attempts.map((attempt) => {
    assert.equal(attempt.kind, 'explained');
    return attempt.kind === 'explained' ? { description: attempt.description, detail: attempt.detail as PatternDetail } : assert.fail();
  });
}

function score(detail: PatternDetail, feature: number): number | null {
  const { scoredTop, scoredRandom } = splitFragments(analysis[feature].exemplars);
  const trie = compileTrie(detail.trie);
  return evCorrelation([...scoredTop, ...scoredRandom].map((e) => ({ truth: e.activations, simulated: simulate(trie, e.ids) }))).value;
}

test('finds every planted pattern: the description says it and the simulation predicts held-out text', async () => {
  const found = await explainAll();
  PLANTED.forEach(({ name, description, score: bound }, feature) => {
    assert.match(found[feature].description, description, name);
    const value = score(found[feature].detail, feature);
    assert.ok(value !== null && value >= bound, `${name}: correlation ${value}`);
    assert.ok(found[feature].description.length <= 200);
    assert.match(found[feature].description, /; promotes " book"$/);
  });
});

test("another feature's explanation scores near 0", async () => {
  const found = await explainAll();
  PLANTED.forEach(({ name }, feature) => {
    // Three further on: no two of these pairs share an activating token.
    const other = (feature + 3) % PLANTED.length;
    const value = score(found[other].detail, feature);
    assert.ok(value === null || Math.abs(value) < 0.3, `${name} by the explanation of ${PLANTED[other].name}: ${value}`);
  });
});

test('a token the fragments never showed is found by trying the vocabulary', async () => {
  const rule: Rule = (ids, t) => (NUMBERS.includes(ids[t]) ? 1 : 0);
  const one = plantedModel([rule]);
  const explainer = await openPatternExplainer({ model: one, tokenizer: plantedTokenizer, dictionary: plantedDictionary([rule]), background, seed: 7 });
  const ids = [...rows[0].slice(0, 63).map((id) => (NUMBERS.includes(id) ? word('.') : id)), word(' 12')];
  const fragment = { kind: 'top' as const, rank: 0, row: 0, start: 0, ids, activations: ids.map((id) => (id === word(' 12') ? 1 : 0)), maxActivation: 1 };
  const [attempt] = await explainer.explain([{ index: 0, fragments: [fragment], topLogits: [], bottomLogits: [] }]);
  assert.ok(attempt.kind === 'explained');
  assert.deepEqual([...simulate(compileTrie((attempt.detail as PatternDetail).trie), NUMBERS)].map((v) => v > 0), [true, true, true, true]);
});

test('the same twice, to the byte, and silent fragments are a failure with its reason', async () => {
  assert.equal(JSON.stringify(await explainAll()), JSON.stringify(await explainAll()));
  const explainer = await openPatternExplainer({ model, tokenizer: plantedTokenizer, dictionary: plantedDictionary(rules), background, seed: 7 });
  const silent = { kind: 'top' as const, rank: 0, row: 0, start: 0, ids: [1, 2], activations: [0, 0], maxActivation: 0 };
  assert.deepEqual(await explainer.explain([{ index: 3, fragments: [silent], topLogits: [], bottomLogits: [] }]), [
    { kind: 'failed', index: 3, reason: 'no activation in the explanation fragments' },
  ]);
});
