import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { Bootstrap, quantile } from '../../src/interp/bootstrap.ts';
import { centredMoments, correlationOf, evCorrelation } from '../../src/interp/correlation.ts';
import type { SimulatedFragment } from '../../src/interp/correlation.ts';
import { discretise } from '../../src/interp/discretise.ts';
import { simulationScores } from '../../src/interp/simulationScores.ts';
import { Rng } from '../../src/math/rng.ts';

interface Fixture {
  tolerance: number;
  correlations: { fragments: SimulatedFragment[]; correlation: number }[];
  discretise: { activations: number[]; max: number; levels: number[] };
  quantiles: { values: number[]; at: number[]; expected: number[] };
}
const fixture = JSON.parse(await readFile(new URL('../fixtures/interp/bills_scores.json', import.meta.url), 'utf8')) as Fixture;

function noisy(seed: number, count: number, noise: number): SimulatedFragment[] {
  const rng = new Rng(seed);
  return Array.from({ length: count }, () => {
    const truth = Array.from({ length: 64 }, () => Math.max(0, rng.normal()));
    return { truth, simulated: truth.map((a) => a + noise * rng.normal()) };
  });
}

test('correlations equal numpy.corrcoef over the concatenated tokens', () => {
  for (const { fragments, correlation } of fixture.correlations) {
    const { value } = evCorrelation(fragments);
    assert.ok(value !== null && Math.abs(value - correlation) <= fixture.tolerance, `expected ${correlation}, found ${value}`);
  }
});

test('the 0-10 scale and the quantiles equal numpy', () => {
  assert.deepEqual([...discretise(fixture.discretise.activations, fixture.discretise.max)], fixture.discretise.levels);
  fixture.quantiles.at.forEach((q, i) => assert.ok(Math.abs(quantile(fixture.quantiles.values, q) - fixture.quantiles.expected[i]) < 1e-12));
  assert.deepEqual([...discretise([1, 2], 0)], [0, 0]);
});

test('a constant side has no correlation and says which', () => {
  const vary = [0, 1, 2];
  assert.deepEqual(evCorrelation([{ truth: vary, simulated: [0.1, 0.1, 0.1] }]), { value: null, reason: 'simulated activations are constant' });
  assert.deepEqual(evCorrelation([{ truth: [3, 3, 3], simulated: vary }]), { value: null, reason: 'true activations are constant' });
  assert.deepEqual(evCorrelation([]), { value: null, reason: 'no tokens to compare' });
});

test('moments of the parts give the correlation of any union of them', () => {
  const fragments = noisy(1, 6, 1);
  const moments = centredMoments(fragments);
  for (const chosen of [[0, 1], [2, 2, 5], [4]]) {
    const direct = evCorrelation(chosen.map((i) => fragments[i])).value!;
    assert.ok(Math.abs(correlationOf(chosen.map((i) => moments[i])).value! - direct) < 1e-12);
  }
});

test('the bootstrap repeats with its seed, differs with another, and brackets the estimate', () => {
  const strata = [noisy(2, 5, 1), noisy(3, 5, 1)];
  const bootstrap = new Bootstrap(9);
  const once = bootstrap.interval(strata)!;
  bootstrap.interval([noisy(8, 3, 1)]); // other shapes in between change nothing
  assert.deepEqual(bootstrap.interval(strata), once);
  assert.deepEqual(new Bootstrap(9).interval(strata), once);
  assert.notDeepEqual(new Bootstrap(10).interval(strata), once);
  const { value } = evCorrelation(strata.flat());
  assert.ok(once.low < value! && value! < once.high, `${once.low} ${value} ${once.high}`);
});

test('the interval narrows with the noise between fragments and covers the truth about as often as it says', () => {
  // Many fragments per sample, so that the percentile bootstrap is in the regime where its 95 % is meant.
  const population = evCorrelation(noisy(77, 4000, 1)).value!;
  let covered = 0;
  const trials = 200;
  for (let i = 0; i < trials; i++) {
    const interval = new Bootstrap(i, 200).interval([noisy(1000 + i, 30, 1)])!;
    if (interval.low <= population && population <= interval.high) covered++;
  }
  assert.ok(covered / trials > 0.85 && covered / trials <= 1, `covered ${covered} of ${trials}`);
});

test('fragments without variation everywhere have no interval', () => {
  const flat = { truth: [1, 1], simulated: [0, 2] };
  assert.equal(new Bootstrap(1).interval([[flat, flat]]), null);
});

test('the three scores count their tokens and an empty stratum leaves the joint score undefined', () => {
  const [top, random] = [noisy(4, 5, 0.5), noisy(5, 5, 0.5)];
  const [both, onlyTop, onlyRandom] = simulationScores(top, random, new Bootstrap(1));
  assert.deepEqual([both.n, onlyTop.n, onlyRandom.n], [640, 320, 320]);
  assert.equal(both.value, evCorrelation([...top, ...random]).value);
  const [none, , empty] = simulationScores(top, [], new Bootstrap(1));
  assert.deepEqual([none.value, none.undefinedReason, none.low], [null, 'no held-out random fragments', null]);
  assert.deepEqual([empty.value, empty.undefinedReason], [null, 'no tokens to compare']);
});
