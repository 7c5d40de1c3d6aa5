import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { Bootstrap } from '../../src/interp/bootstrap.ts';
import { areaUnderCurve, balancedAccuracy, f1 } from '../../src/interp/classification.ts';
import { NO_PROBABILITIES, embeddingScores, judgedScores } from '../../src/interp/windowScores.ts';
import { Rng } from '../../src/math/rng.ts';

interface Values {
  balancedAccuracy: number;
  f1: number;
  auc: number;
}
interface Fixture {
  tolerance: number;
  cases: { truth: boolean[]; said: boolean[]; score: number[]; weights: number[]; plain: Values; weighted: Values }[];
}
const fixture = JSON.parse(await readFile(new URL('../fixtures/interp/detection.json', import.meta.url), 'utf8')) as Fixture;

test('balanced accuracy, F1 and AUC equal scikit-learn, plain and weighted, with ties', () => {
  for (const [c, { truth, said, score, weights, plain, weighted }] of fixture.cases.entries()) {
    const windows = truth.map((is, i) => ({ truth: is, said: said[i], score: score[i] }));
    const ours = { balancedAccuracy: balancedAccuracy(windows), f1: f1(windows), auc: areaUnderCurve(windows) };
    for (const [name, of] of Object.entries(ours)) {
      const close = (found: number, expected: number): void => assert.ok(Math.abs(found - expected) <= fixture.tolerance, `case ${c}, ${name}: expected ${expected}, found ${found}`);
      close(of(truth.map(() => 1)), plain[name as keyof Values]);
      close(of(weights), weighted[name as keyof Values]);
    }
  }
});

test('AUC equals the share of pairs in the right order, ties counted half', () => {
  const rng = new Rng(5);
  const windows = Array.from({ length: 40 }, () => ({ truth: rng.next() < 0.4, score: rng.int(6) }));
  let [wins, pairs] = [0, 0];
  for (const a of windows) for (const b of windows) {
    if (!a.truth || b.truth) continue;
    pairs++;
    wins += a.score > b.score ? 1 : a.score === b.score ? 0.5 : 0;
  }
  assert.ok(Math.abs(areaUnderCurve(windows)(windows.map(() => 1)) - wins / pairs) < 1e-12);
  assert.equal(areaUnderCurve([{ truth: true, score: 1 }, { truth: false, score: 1 }])([1, 1]), 0.5);
});

test('windows of one class only have no balanced accuracy and no AUC, and say so; nothing is invented', () => {
  for (const truth of [true, false]) {
    const [accuracy, , auc] = judgedScores('detection', Array.from({ length: 12 }, () => ({ truth, said: true, probability: 0.7 })), new Bootstrap(1));
    for (const score of [accuracy, auc]) assert.deepEqual([score.value, score.low, score.high, score.undefinedReason], [null, null, null, 'windows of one class only']);
  }
  const [, quietF1] = judgedScores('detection', [{ truth: false, said: false, probability: null }], new Bootstrap(1));
  assert.equal(quietF1.value, null);
  assert.equal(embeddingScores([{ truth: true, score: 0.2 }], new Bootstrap(1))[0].value, null);
});

test('hard answers give no AUC; one window without a probability is enough', () => {
  const windows = Array.from({ length: 20 }, (_, i) => ({ truth: i < 10, said: i % 3 === 0, probability: i === 7 ? null : i / 20 }));
  const scores = judgedScores('fuzzing', windows, new Bootstrap(1));
  assert.deepEqual(scores.map(({ scorer }) => scorer), ['fuzzing-balanced-accuracy', 'fuzzing-f1', 'fuzzing-auc']);
  assert.deepEqual(scores.map(({ value }) => value === null), [false, false, true]);
  assert.equal(scores[2].undefinedReason, NO_PROBABILITIES);
  assert.deepEqual(scores.map(({ n }) => n), [20, 20, 20]);
});

test('the bootstrap keeps the classes, in whatever order windows come, repeats with its seed and holds the estimate', () => {
  const rng = new Rng(8);
  const windows = Array.from({ length: 80 }, (_, i) => ({ truth: i % 4 === 0, said: i % 4 === 0 ? rng.next() < 0.8 : true, probability: rng.next() }));
  const of = (from: typeof windows, seed: number): unknown => judgedScores('detection', from, new Bootstrap(seed));
  const [{ value, low, high }] = judgedScores('detection', windows, new Bootstrap(4));
  // No silent window is told from the active ones: the accuracy is half the share of these that are found, in every replicate too.
  assert.ok(low! < value! && value! < high! && high! <= 0.5);
  assert.deepEqual(of(windows, 4), of(windows, 4));
  assert.notDeepEqual(of(windows, 5), of(windows, 4));
  const sorted = windows.toSorted((a, b) => Number(b.truth) - Number(a.truth));
  assert.deepEqual(of(sorted, 4), of(windows, 4));
});

test('a score that is no number is a bug, not a rank', () => {
  assert.throws(() => areaUnderCurve([{ truth: true, score: NaN }, { truth: false, score: 1 }]), { name: 'InvariantError' });
});

test('95 % intervals hold the true value about as often as they say', () => {
  // A judge that is right with probability 0.75 on either class, 50 windows of each: the truth is 0.75.
  let held = 0;
  const trials = 200;
  for (let trial = 0; trial < trials; trial++) {
    const rng = Rng.derive(77, trial);
    const windows = Array.from({ length: 100 }, (_, i) => ({ truth: i < 50, said: i < 50 === rng.next() < 0.75, probability: null }));
    const [{ low, high }] = judgedScores('detection', windows, new Bootstrap(trial));
    if (low! <= 0.75 && 0.75 <= high!) held++;
  }
  assert.ok(held >= 0.9 * trials && held <= 0.99 * trials, `${held} of ${trials}`);
});
