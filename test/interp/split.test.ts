import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import type { Exemplar } from '../../src/domain/feature.ts';
import { overlaps, refOf, splitFragments, variedFragments } from '../../src/interp/split.ts';
import { Rng } from '../../src/math/rng.ts';

/** scripts/oracle/bills_package.py */
const published = JSON.parse(await readFile(new URL('../fixtures/interp/bills_package.json', import.meta.url), 'utf8')) as { splits: { activations: Record<'train' | 'calibration' | 'valid', number[]> } };

function exemplar(kind: Exemplar['kind'], rank: number, row: number, start: number, activations: readonly number[] = [0, 1, 0, 0]): Exemplar {
  return { kind, rank, row, start, ids: activations.map((_, i) => i), activations, maxActivation: Math.max(...activations) };
}

test('without overlaps the slices are those of the program that Bills et al. published', () => {
  const top = Array.from({ length: 20 }, (_, i) => exemplar('top', i, i, 0));
  const random = Array.from({ length: 20 }, (_, i) => exemplar('random', i, 100 + i, 0));
  const split = splitFragments([...random, ...top.toReversed()]);
  // There the activation of the i-th strongest text is 100 − i, that of the i-th random one i; of these the paper scores five.
  const named = (fragments: readonly Exemplar[]): number[] => fragments.map(({ kind, rank }) => (kind === 'top' ? 100 - rank : rank));
  const { train, calibration, valid } = published.splits.activations;
  assert.deepEqual(named(split.explain), train);
  assert.deepEqual(named([...split.scoredTop, ...split.scoredRandom]), valid.slice(0, 10));
  assert.deepEqual(named(split.calibration).slice(0, calibration.length), calibration);
  assert.deepEqual(split.explain.map((e) => e.rank), [0, 4, 8, 12, 16]);
  assert.deepEqual(split.scoredTop.map((e) => e.rank), [2, 6, 10, 14, 18]);
  assert.deepEqual(split.scoredRandom.map((e) => e.rank), [1, 4, 7, 10, 13]);
});

test('a random fragment that is an explanation fragment is never scored; the next free ones fill up', () => {
  const top = Array.from({ length: 20 }, (_, i) => exemplar('top', i, i, 0));
  const random = Array.from({ length: 8 }, (_, i) => exemplar('random', i, i < 4 ? 4 * i : 50 + i, 0));
  const split = splitFragments([...top, ...random]);
  assert.deepEqual(split.scoredRandom.map((e) => e.rank).toSorted(), [4, 5, 6, 7]);
});

test('fragments without variation are left out', () => {
  const flat = exemplar('top', 0, 0, 0, [2, 2, 2, 2]);
  assert.deepEqual(variedFragments([flat, exemplar('top', 1, 1, 0)], 'top').map((e) => e.rank), [1]);
});

test('property: whatever the windows, no scored token was explained or is scored twice', () => {
  for (let seed = 0; seed < 300; seed++) {
    const rng = new Rng(seed);
    // Few rows and offsets of any kind, so that overlaps are the rule.
    const draw = (kind: Exemplar['kind'], rank: number): Exemplar => exemplar(kind, rank, rng.int(6), rng.int(12), [0, rng.next(), 0, 0]);
    const { explain, scoredTop, scoredRandom } = splitFragments(Array.from({ length: 40 }, (_, i) => draw(i < 20 ? 'top' : 'random', i % 20)));
    const scored = [...scoredTop, ...scoredRandom];
    const explained = new Set(explain.flatMap((e) => e.ids.map((_, t) => `${e.row}:${e.start + t}`)));
    const tokens = scored.flatMap((e) => e.ids.map((_, t) => `${e.row}:${e.start + t}`));
    assert.ok(tokens.every((t) => !explained.has(t)), `seed ${seed}: a scored token was explained`);
    assert.equal(new Set(tokens).size, tokens.length, `seed ${seed}: a token is scored twice`);
    assert.ok(scoredRandom.length <= 5);
  }
});

test('windows overlap when they share a token of a row', () => {
  const a = refOf(exemplar('top', 0, 3, 10));
  assert.deepEqual(a, { row: 3, start: 10, length: 4 });
  for (const [row, start, length, shared] of [[3, 13, 4, true], [3, 14, 4, false], [4, 10, 4, false], [3, 0, 11, true], [3, 0, 10, false], [3, 12, 1, true]] as const) {
    const b = { row, start, length };
    assert.deepEqual([overlaps(a, b), overlaps(b, a)], [shared, shared], JSON.stringify(b));
  }
});
