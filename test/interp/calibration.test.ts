import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { Bootstrap } from '../../src/interp/bootstrap.ts';
import { calibratedScores } from '../../src/interp/calibratedScores.ts';
import type { Calibration } from '../../src/interp/calibration.ts';
import { evCorrelation } from '../../src/interp/correlation.ts';
import type { SimulatedFragment } from '../../src/interp/correlation.ts';
import { explainedShare } from '../../src/interp/explainedShare.ts';
import { linearCalibration } from '../../src/interp/linearCalibration.ts';
import { percentileCalibration } from '../../src/interp/percentileCalibration.ts';
import { Rng } from '../../src/math/rng.ts';

interface Expected {
  correlation: number;
  rsquared: number;
  absdev: number;
  probe: number[];
  applied: number[];
}
interface Fixture {
  tolerance: number;
  calibrations: { calibration: SimulatedFragment[]; top: SimulatedFragment[]; random: SimulatedFragment[]; none: Expected; linear: Expected; percentile: Expected }[];
}
const { calibrations, tolerance } = JSON.parse(await readFile(new URL('../fixtures/interp/bills_package.json', import.meta.url), 'utf8')) as Fixture;

function near(found: number | null | undefined, expected: number, what: string): void {
  assert.ok(found !== null && found !== undefined && Math.abs(found - expected) <= tolerance * Math.max(1, Math.abs(expected)), `${what}: expected ${expected}, found ${found}`);
}

function apply(calibration: Calibration, values: ArrayLike<number>): Float64Array {
  assert.ok('apply' in calibration, 'reason' in calibration ? calibration.reason : '');
  return calibration.apply(values);
}

function noisy(seed: number, count: number, slope = 1): SimulatedFragment[] {
  const rng = new Rng(seed);
  return Array.from({ length: count }, () => {
    const truth = Array.from({ length: 32 }, () => Math.max(0, rng.normal()));
    return { truth, simulated: truth.map((a) => slope * 3 * a + rng.normal()) };
  });
}

test('calibrations and scores by value equal those of the published program', () => {
  for (const { calibration, top, random, ...expected } of calibrations) {
    const scores = new Map(calibratedScores('simulation', top, random, calibration, new Bootstrap(1)).map((score) => [score.scorer, score]));
    for (const kind of ['rsquared', 'absdev'] as const) {
      near(scores.get(`simulation-${kind}`)?.value, expected.none[kind], `uncalibrated ${kind}`);
      near(scores.get(`simulation-linear-${kind}`)?.value, expected.linear[kind], `linear ${kind}`);
      near(scores.get(`simulation-percentile-${kind}`)?.value, expected.percentile[kind], `percentile ${kind}`);
    }
    near(scores.get('simulation-percentile-top-random')?.value, expected.percentile.correlation, 'percentile correlation');
    near(evCorrelation([...top, ...random]).value, expected.none.correlation, 'correlation');
    for (const [name, calibrated] of [['linear', linearCalibration(calibration)], ['percentile', percentileCalibration(calibration)]] as const) {
      const { probe, applied } = expected[name];
      apply(calibrated, probe).forEach((value, i) => near(value, applied[i], `${name} of ${probe[i]}`));
    }
  }
});

test('a linear calibration leaves correlations as they are, or turns their sign with the slope', () => {
  for (let seed = 0; seed < 20; seed++) {
    const slope = seed % 2 === 0 ? 1 : -1;
    const calibrated = linearCalibration(noisy(seed, 5, slope));
    const held = noisy(100 + seed, 4, slope);
    const after = held.map(({ truth, simulated }) => ({ truth, simulated: apply(calibrated, simulated) }));
    near(evCorrelation(after).value, slope * evCorrelation(held).value!, `seed ${seed}`);
  }
});

test('percentile matching keeps order and gives back the calibration text’s own distribution', () => {
  const fragments = noisy(3, 4);
  const calibrated = percentileCalibration(fragments);
  const values = apply(calibrated, fragments.flatMap((f) => Array.from(f.simulated)));
  assert.deepEqual([...values].sort((a, b) => a - b), fragments.flatMap((f) => Array.from(f.truth)).sort((a, b) => a - b));
  const ramp = apply(calibrated, Array.from({ length: 200 }, (_, i) => i / 10 - 5));
  assert.ok(ramp.every((v, i) => i === 0 || v >= ramp[i - 1]));
});

test('every score by value has its interval, and says why it has no value', () => {
  const [top, random, calibration] = [noisy(1, 5), noisy(2, 5), noisy(3, 10)];
  const bootstrap = new Bootstrap(4);
  for (const { scorer, value, low, high, n } of calibratedScores('simulation', top, random, calibration, bootstrap)) {
    assert.ok(low! <= value! && value! <= high!, `${scorer}: ${low} ${value} ${high}`);
    assert.equal(n, 320);
  }
  const reasons = (scores: ReturnType<typeof calibratedScores>): Record<string, string | null> => Object.fromEntries(scores.filter((s) => s.value === null).map((s) => [s.scorer, s.undefinedReason]));
  const flat = calibration.map(({ truth }) => ({ truth, simulated: Array.from(truth, () => 2) }));
  const constant = 'simulated activations of the calibration fragments are constant';
  assert.deepEqual(reasons(calibratedScores('simulation', top, random, flat, bootstrap)), {
    'simulation-linear-rsquared': constant, 'simulation-linear-absdev': constant,
    'simulation-percentile-top-random': constant, 'simulation-percentile-rsquared': constant, 'simulation-percentile-absdev': constant,
  }); // prettier-ignore
  assert.equal(reasons(calibratedScores('s', top, random, [], bootstrap))['s-linear-rsquared'], 'no calibration fragments');
  assert.equal(reasons(calibratedScores('s', [], random, calibration, bootstrap))['s-rsquared'], 'no held-out top fragments');
  assert.deepEqual(explainedShare([{ truth: [0, 0], simulated: [0, 1] }], 'absdev'), { value: null, reason: 'true activations are all zero' });
});

test('predicting the truth scores 1, predicting nothing 0', () => {
  const truth = [0, 3, 0, -1];
  for (const kind of ['rsquared', 'absdev'] as const) {
    assert.deepEqual(explainedShare([{ truth, simulated: truth }], kind), { value: 1 });
    assert.deepEqual(explainedShare([{ truth, simulated: [0, 0, 0, 0] }], kind), { value: 0 });
  }
});
