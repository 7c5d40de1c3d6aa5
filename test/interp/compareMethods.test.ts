import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ExplainOutcome, Score } from '../../src/domain/feature.ts';
import { compareMethods, type InstrumentComparison } from '../../src/interp/compareMethods.ts';
import { instrumentFacts } from '../../src/interp/instruments.ts';
import { methodScores, type MethodScores } from '../../src/interp/methodScores.ts';
import { clearAnswer, controlAnswer, verdicts } from '../../src/interp/verdicts.ts';
import { Rng } from '../../src/math/rng.ts';

const TOP_RANDOM = 'simulation-top-random';

function score(value: number | null, scorer = TOP_RANDOM, judge = 'pattern-v1'): Score {
  return { scorer, judge, promptVersion: null, value, undefinedReason: value === null ? 'simulated activations are constant' : null, n: 640, low: null, high: null, fragments: [] };
}

/** Features with these scores; a word: skipped for that reason. */
function outcomes(values: readonly (number | null | string)[], make: (value: number | null) => Score[] = (value) => [score(value)]): ExplainOutcome[] {
  return values.map((value, index) =>
    typeof value === 'string'
      ? { kind: 'skipped', index, reason: value }
      : { kind: 'explained', explanation: { index, explainer: 'pattern-v1', model: null, promptVersion: null, description: 'd', detail: null, fragments: [], scores: make(value) } },
  );
}

/** Scores of n features about a mean. */
function sample(seed: number, n: number, mean: number, deviation = 0.2): number[] {
  const rng = new Rng(seed);
  return Array.from({ length: n }, () => mean + deviation * rng.normal());
}

const of = (method: string, layer: number, values: readonly (number | null | string)[]): MethodScores => methodScores(layer, method, outcomes(values));
const only = (all: readonly MethodScores[], reference = 'sae', seed = 0): InstrumentComparison => {
  const found = compareMethods(all, reference, seed);
  assert.equal(found.length, 1);
  return found[0]!;
};
const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
/** By the definition with n − 1, in two passes. */
const variance = (values: readonly number[]): number => values.reduce((sum, value) => sum + (value - mean(values)) ** 2, 0) / (values.length - 1);
const near = (found: number | null | undefined, expected: number, tolerance = 1e-12): void => assert.ok(typeof found === 'number' && Math.abs(found - expected) <= tolerance, `expected ${expected}, found ${found}`);

test('every feature asked for has its place, skipped and undefined ones with their reason', () => {
  const found = of('sae', 2, [0.5, 'dead', null, 'dead', 'few fragments', -0.25]);
  assert.deepEqual(found, {
    layer: 2, method: 'sae', asked: 6, explained: 3, skipped: { dead: 2, 'few fragments': 1 }, size: { description: 1, detail: null },
    instruments: [{ scorer: TOP_RANDOM, judge: 'pattern-v1', promptVersion: null, values: [0.5, null, null, null, null, -0.25], undefined: { 'simulated activations are constant': 1 } }],
  }); // prettier-ignore
  const { estimates } = only([found]);
  assert.deepEqual([estimates[0]!.of.scored.n, estimates[0]!.of.asked.n], [2, 6]);
  near(estimates[0]!.of.scored.mean, 0.125);
  near(estimates[0]!.of.asked.mean, 0.25 / 6);
});

test('means and the paper’s intervals by definition, in layers and over them', () => {
  const layers = [sample(1, 150, 0.6), sample(2, 90, 0.3)];
  const { estimates } = only(layers.map((values, layer) => of('sae', layer, values)));
  layers.forEach((values, layer) => {
    near(estimates[layer]!.of.scored.mean, mean(values));
    near(estimates[layer]!.of.scored.halfWidth, 1.96 * Math.sqrt(variance(values) / values.length));
  });
  const total = estimates.find(({ layer }) => layer === null)!;
  near(total.of.scored.mean, (mean(layers[0]!) + mean(layers[1]!)) / 2);
  near(total.of.scored.halfWidth, (1.96 / 2) * Math.sqrt(variance(layers[0]!) / 150 + variance(layers[1]!) / 90));
  assert.deepEqual([total.asked, total.of.scored.n], [240, 240]);
});

test('the bootstrap of a two-valued sample is the binomial distribution', () => {
  const [n, ones] = [40, 14];
  const { estimates } = only([of('sae', 0, Array.from({ length: n }, (_, i) => (i < ones ? 1 : 0)))]);
  const { low, high } = estimates[0]!.of.scored.bootstrap!;
  // P(at most k ones of n draws), summed term by term.
  const p = ones / n;
  const cdf: number[] = [];
  let term = (1 - p) ** n;
  for (let k = 0, sum = 0; k <= n; k++) {
    sum += term;
    cdf.push(sum);
    term *= ((n - k) / (k + 1)) * (p / (1 - p));
  }
  const quantile = (q: number): number => cdf.findIndex((below) => below >= q) / n;
  near(low, quantile(0.025), 1 / n + 1e-9);
  near(high, quantile(0.975), 1 / n + 1e-9);
  assert.ok(low < p && p < high);
});

test('the interval of a difference has the width that two independent samples give it', () => {
  const [a, b] = [sample(3, 400, 0.5, 0.3), sample(4, 200, 0.4, 0.1)];
  const { differences } = only([of('sae', 0, a), of('pca', 0, b)]);
  const { value, interval } = differences.find(({ basis }) => basis === 'scored')!;
  near(value, mean(a) - mean(b));
  const half = 1.96 * Math.sqrt(variance(a) / 400 + variance(b) / 200);
  near((interval.high - interval.low) / 2, half, 0.05 * half);
  near((interval.high + interval.low) / 2, value, 0.05 * half);
});

test('overlap is that of the methods’ own intervals, stricter than the difference’s', () => {
  const values = (shift: number): number[] => sample(5, 200, 0.4 + shift, 0.2);
  const apartAt = (shift: number): boolean => only([of('sae', 0, values(shift)), of('pca', 0, values(0))]).differences[0]!.apart;
  // Half-widths are 0.028 each: means must lie 0.055 apart.
  assert.deepEqual([apartAt(0.2), apartAt(-0.2), apartAt(0.045), apartAt(0)], [true, true, false, false]);
  const { interval, apart } = only([of('sae', 0, values(0.045)), of('pca', 0, values(0))]).differences[0]!;
  assert.ok(interval.low > 0 && !apart, JSON.stringify(interval));
});

test('a method’s numbers do not depend on what it is compared with; the seed decides them', () => {
  const [a, b, c] = [of('sae', 0, sample(6, 80, 0.5)), of('pca', 0, sample(7, 80, 0.3)), of('ica', 0, sample(8, 80, 0.2))];
  const pick = (comparison: InstrumentComparison): unknown => comparison.estimates.filter(({ method }) => method !== 'ica');
  assert.deepEqual(pick(only([a, b])), pick(only([c, b, a].toReversed())));
  assert.notDeepEqual(only([a, b]).estimates, only([a, b], 'sae', 1).estimates);
});

test('instruments and judges are never pooled, and one that a method lacks counts as chance', () => {
  const two = (value: number | null): Score[] => [score(value), score(0.9, 'detection-balanced-accuracy', 'some-model'), score(0.8, TOP_RANDOM, 'some-model')];
  const found = compareMethods([methodScores(0, 'sae', outcomes([0.5, 0.7, 'dead'], two)), of('pca', 0, [0.1, 0.3, 'dead'])], 'sae', 0);
  assert.deepEqual(found.map(({ scorer, judge }) => [scorer, judge]), [[TOP_RANDOM, 'pattern-v1'], [TOP_RANDOM, 'some-model'], ['detection-balanced-accuracy', 'some-model']]);
  const detection = found[2]!;
  near(detection.estimates[0]!.of.asked.mean, (0.9 + 0.9 + 0.5) / 3);
  assert.deepEqual(detection.scores[1], { layer: 0, method: 'pca', values: [null, null, null], undefined: { 'not scored': 2 } });
  assert.equal(detection.estimates[1]!.of.scored.mean, null);
  near(detection.estimates[1]!.of.asked.mean, 0.5);
  assert.deepEqual(detection.differences.map(({ basis }) => basis), ['asked'], 'no difference from a mean that does not exist');
});

test('chance is what a judge gets who knows nothing', () => {
  assert.deepEqual(['simulation-random', 'simulation-json-top', 'detection-balanced-accuracy', 'fuzzing-auc', 'detection-f1'].map((scorer) => instrumentFacts(scorer).chance), [0, 0, 0.5, 0.5, 2 / 3]);
});

test('sentences follow from the numbers', () => {
  const layers = (method: string, means: readonly number[]): MethodScores[] => means.map((level, layer) => of(method, layer, sample(9 + layer, 200, level)));
  const clear = only([...layers('sae', [0.7, 0.6]), ...layers('neuron', [0.3, 0.2]), ...layers('random', [0.3, 0.3]), ...layers('control', [0.9, 0.9])]);
  const [neuron, , control] = verdicts(clear, 'sae', 'scored');
  assert.match(neuron!, /^sae against neuron: 0\.\d{3} against 0\.\d{3} \(mean of 2 layers\), difference 0\.400 \[0\.3\d\d, 0\.4\d\d\]\. Higher, and the 95 % intervals do not overlap: layers 0, 1\.$/);
  assert.match(control!, /difference −0\.\d{3} .* Lower, and the 95 % intervals do not overlap: layers 0, 1\.$/);
  assert.match(clearAnswer(clear, 'sae', ['neuron', 'random'], 'scored')!, /overlap\? Yes\.$/);
  assert.match(controlAnswer(clear, 'sae', 'control', 'scored')!, /scores below the same recipe on random weights .*: a high score alone is no sign/);

  const close = only([...layers('sae', [0.7, 0.345]), ...layers('neuron', [0.3, 0.3]), ...layers('random', [0.3, 0.345]), ...layers('control', [0.2, 0.2])]);
  const [mixed, level] = verdicts(close, 'sae', 'scored');
  assert.match(mixed!, /do not overlap: layer 0\. Higher \(the interval of the difference is above 0\), though the 95 % intervals overlap: layer 1\.$/);
  assert.match(level!, /No difference that could be told from chance: layer 1\.$/);
  assert.match(clearAnswer(close, 'sae', ['neuron', 'random'], 'scored')!, /overlap\? No\. It does in layer 0\. Not against neuron in layer 1 \(difference 0\.045 .*\)\. Not against random in layer 1 \(/);
  assert.match(controlAnswer(close, 'sae', 'control', 'scored')!, /scores above the same recipe on random weights by 0\.3/);
  assert.equal(controlAnswer(close, 'sae', 'pca', 'scored'), null);
  assert.equal(clearAnswer(close, 'sae', ['pca'], 'scored'), null);

  // A method without any score in a layer is no method that was beaten there.
  const gap = only([...layers('sae', [0.7, 0.6]), of('neuron', 0, sample(1, 200, 0.3)), of('neuron', 1, ['dead', 'dead'])]);
  assert.match(clearAnswer(gap, 'sae', ['neuron'], 'scored')!, /No\. It does in layer 0\. Not against neuron in layer 1 \(nothing to compare\)\.$/);
});
