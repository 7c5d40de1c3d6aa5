import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Exemplar, FeatureAnalysis } from '../../src/domain/feature.ts';
import { PaperTally, paperSplit } from '../../src/interp/paperProtocol.ts';
import { splitFragments } from '../../src/interp/split.ts';
import { Rng } from '../../src/math/rng.ts';

function exemplar(kind: Exemplar['kind'], rank: number, row: number, start = 0, activations: readonly number[] = [0, 1, 0, 0]): Exemplar {
  return { kind, rank, row, start, ids: activations.map((_, i) => i), activations, maxActivation: Math.max(...activations) };
}
const feature = (exemplars: readonly Exemplar[]): FeatureAnalysis => ({
  index: 0, density: 0.1, maxActivation: 1, meanActivation: 1, histogram: { edges: [], counts: [] }, topLogits: [], bottomLogits: [], neighbours: [], exemplars,
});
const top = Array.from({ length: 20 }, (_, i) => exemplar('top', i, i));

test('where no fragments overlap, what is scored is what the protocol scores', () => {
  const exemplars = [...top, ...Array.from({ length: 20 }, (_, i) => exemplar('random', i, 100 + i))];
  const paper = paperSplit(exemplars);
  assert.deepEqual(paper.explain.map((e) => e.row), [0, 4, 8, 12, 16]);
  assert.deepEqual(paper.scored.map((e) => e.row), [2, 6, 10, 14, 18, 101, 104, 107, 110, 113]);
  const ours = splitFragments(exemplars);
  assert.deepEqual([...ours.scoredTop, ...ours.scoredRandom], paper.scored);
  const tally = new PaperTally();
  tally.add(feature(exemplars));
  assert.deepEqual(tally.result(), { eligible: 1, fragments: 10, fragmentsChanged: 0, featuresChanged: 0, featuresShort: 0 });
});

test('a random fragment that was explained counts as changed, whether or not another takes its place', () => {
  const tally = new PaperTally();
  // random[1] is the fragment of top[0]; the rest are free.
  tally.add(feature([...top, ...Array.from({ length: 20 }, (_, i) => exemplar('random', i, i === 1 ? 0 : 100 + i))]));
  assert.deepEqual(tally.result(), { eligible: 1, fragments: 10, fragmentsChanged: 1, featuresChanged: 1, featuresShort: 0 });
  // Few active fragments: the random ones are the top ones.
  tally.add(feature([...top, ...top.map((e) => ({ ...e, kind: 'random' as const }))]));
  assert.equal(tally.result().featuresShort, 0);
  // Top ranks 1, 5, 9 … are free: random[1::3] = rows 1, 4, 7, 10, 13, of which 4 was explained and 10 is a scored top one.
  assert.equal(tally.result().fragmentsChanged, 1 + 2);
  tally.add(feature(top));
  assert.equal(tally.result().fragments, 25, 'without random fragments the protocol scores the five top ones');
  tally.add(feature(top.slice(1)));
  assert.equal(tally.result().eligible, 3, 'nineteen fragments are too few');
});

test('property: no scored, calibration or active fragment shares a token with an explained one, whatever the windows', () => {
  for (let seed = 0; seed < 400; seed++) {
    const rng = new Rng(seed);
    const length = 4 + rng.int(8);
    const kinds = ['top', 'random', 'quantile'] as const;
    const exemplars = Array.from({ length: 60 }, (_, i) => {
      const activations = Array.from({ length }, () => (rng.next() < 0.3 ? rng.next() : 0));
      return exemplar(kinds[i % 3]!, Math.floor(i / 3), rng.int(8), rng.int(40), activations);
    });
    const split = splitFragments(exemplars);
    const tokensOf = (fragments: readonly Exemplar[]): string[] => fragments.flatMap((e) => e.ids.map((_, t) => `${e.row}:${e.start + t}`));
    const explained = new Set(tokensOf(split.explain));
    for (const part of ['scoredTop', 'scoredRandom', 'calibration', 'active'] as const) {
      const shared = tokensOf(split[part]).filter((token) => explained.has(token));
      assert.deepEqual(shared, [], `seed ${seed}: ${part} holds explained tokens`);
    }
    const scored = new Set(tokensOf([...split.scoredTop, ...split.scoredRandom]));
    assert.deepEqual(tokensOf(split.calibration).filter((token) => scored.has(token)), [], `seed ${seed}: a calibration token is scored`);
  }
});
