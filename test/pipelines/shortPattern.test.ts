import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ExplainOutcome, Exemplar, FeatureAnalysis, Score } from '../../src/domain/feature.ts';
import { strongestPaths } from '../../src/interp/pattern/strongestPaths.ts';
import { buildTrie, triePaths, type PatternPath } from '../../src/interp/pattern/trie.ts';
import { refOf, splitFragments } from '../../src/interp/split.ts';
import { Rng } from '../../src/math/rng.ts';
import { patternSimulator } from '../../src/pipelines/patternSimulator.ts';
import { SHORT_PATHS, SHORT_PATTERN_JUDGE, withShortScores } from '../../src/pipelines/shortPatternSimulator.ts';
import { simulationScorer } from '../../src/pipelines/simulationScorer.ts';

const VOCABULARY = 60;

/** A feature that fires on every token t, by value[t]. */
function planted(value: (token: number) => number): FeatureAnalysis {
  const rng = new Rng(5);
  const exemplars = (['top', 'random'] as const).flatMap((kind) => Array.from({ length: 20 }, (_, rank): Exemplar => {
    const ids = Array.from({ length: 64 }, () => rng.int(VOCABULARY));
    const activations = ids.map(value);
    return { kind, rank, row: rank + (kind === 'top' ? 0 : 100), start: 0, ids, activations, maxActivation: Math.max(...activations) };
  })); // prettier-ignore
  return { index: 0, density: 1, maxActivation: 1, meanActivation: 1, histogram: { edges: [0, 1], counts: [1] }, topLogits: [], bottomLogits: [], neighbours: [], exemplars };
}

async function explained(feature: FeatureAnalysis, paths: readonly PatternPath[]): Promise<{ outcome: ExplainOutcome; scores: readonly Score[] }> {
  const detail = { format: 'pattern-v1', max: 1, studied: 1, unexplained: 0, trie: buildTrie(paths, (id) => `t${id}`) };
  const { explain, scoredTop, scoredRandom, calibration, active } = splitFragments(feature.exemplars);
  const [attempt] = await simulationScorer(patternSimulator, 3).score([{ index: 0, explainer: 'pattern-v1', description: 'd', detail, top: scoredTop, random: scoredRandom, calibration, active, explained: explain.map(refOf) }]);
  assert.ok(attempt?.kind === 'scored');
  return { scores: attempt.scores, outcome: { kind: 'explained', explanation: { index: 0, explainer: 'pattern-v1', model: null, promptVersion: null, description: 'd', detail, fragments: [], scores: attempt.scores } } };
}

async function judged(feature: FeatureAnalysis, paths: readonly PatternPath[]): Promise<{ whole: readonly Score[]; short: readonly Score[] }> {
  const { outcome, scores } = await explained(feature, paths);
  const [found] = await withShortScores([outcome], new Map([[0, feature]]), 3);
  assert.ok(found?.kind === 'explained');
  assert.deepEqual(found.explanation.scores.slice(0, scores.length), scores, 'what was there stays');
  const short = found.explanation.scores.slice(scores.length);
  assert.deepEqual(short.map(({ scorer, judge }) => [scorer, judge]), ['simulation-top-random', 'simulation-top', 'simulation-random'].map((scorer) => [scorer, SHORT_PATTERN_JUDGE]));
  return { whole: scores, short };
}

test('a pattern that a sentence could hold is judged as it is', async () => {
  const value = (token: number): number => (token < 4 ? 1 - token / 10 : 0);
  const { whole, short } = await judged(planted(value), [0, 1, 2, 3].map((token) => ({ tokens: [token], value: value(token) })));
  assert.deepEqual(short.map(({ judge: _judge, ...score }) => score), whole.map(({ judge: _judge, ...score }) => score));
  assert.ok(Math.abs(whole[0]!.value! - 1) < 1e-9);
});

test('a table of the whole vocabulary is not: only its strongest entries predict', async () => {
  const value = (token: number): number => (token + 1) / VOCABULARY;
  const { whole, short } = await judged(planted(value), Array.from({ length: VOCABULARY }, (_, token) => ({ tokens: [token], value: value(token) })));
  assert.ok(whole[0]!.value! > 0.999);
  // Corr(x, x·1[x among the 10 highest of 60]) of a uniform x, by its definition.
  const xs = Array.from({ length: VOCABULARY }, (_, token) => value(token));
  const ys = xs.map((x, token) => (token >= VOCABULARY - SHORT_PATHS ? x : 0));
  const mean = (list: readonly number[]): number => list.reduce((sum, one) => sum + one, 0) / list.length;
  const cov = (a: readonly number[], b: readonly number[]): number => mean(a.map((one, i) => one * b[i]!)) - mean(a) * mean(b);
  const expected = cov(xs, ys) / Math.sqrt(cov(xs, xs) * cov(ys, ys));
  assert.ok(Math.abs(short[0]!.value! - expected) < 0.05, `expected about ${expected}, found ${short[0]!.value}`);
});

test('the strongest ways to fire keep their context and their words; other explainers and skips are left alone', async () => {
  const paths: PatternPath[] = [{ tokens: [1], value: 0.2 }, { tokens: [1, 2], value: 0.9 }, { tokens: [3, null, 4], value: 0.5 }, { tokens: [5], value: 0.5 }];
  const cut = strongestPaths(buildTrie(paths, (id) => `t${id}`), 2);
  assert.deepEqual(triePaths(cut), [{ tokens: [1, 2], value: 0.9 }, { tokens: [3, null, 4], value: 0.5 }]);
  assert.deepEqual(cut.map(({ text, next }) => [text, next[0]!.text]), [['t1', 't2'], ['t3', '*']]);
  const feature = planted((token) => (token < 4 ? 1 : 0));
  const { outcome } = await explained(feature, paths);
  assert.ok(outcome.kind === 'explained');
  const others: ExplainOutcome[] = [{ kind: 'skipped', index: 0, reason: 'dead' }, { kind: 'explained', explanation: { ...outcome.explanation, explainer: 'max-act-v1@some-model', detail: null } }];
  assert.deepEqual(await withShortScores(others, new Map([[0, feature]]), 3), others);
});
