import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IoiStep } from '../../src/pipelines/ioi.ts';
import { ioiCurves, type MeasuredCurve } from '../../src/pipelines/ioiSummary.ts';
import type { IoiCurve } from '../../src/ports/IoiReport.ts';
import { randomDictionary } from '../helpers/randomDictionary.ts';

const UNPATCHED = [6, 2];

/** A curve from (patched, KL of both prompts) as measured. */
function curve(method: string, active: number, sets: readonly (readonly [patched: number, kl: readonly number[]])[]): MeasuredCurve {
  const weights = randomDictionary(`0-${method}`, 'resid_post.0', 4, 10, { seed: 1 });
  const steps = sets.map(([patched, perPrompt], step): IoiStep => ({ method, layer: 0, ordering: 'attribution', step, tau: null, members: [step], patched, perPrompt, kl: (perPrompt[0] + perPrompt[1]) / 2, magnitude: 10 * patched, cost: { sets: 1, runs: 2, rows: 3, seconds: 0.5 } }));
  return { dictionary: { method, layer: 0, weights, signed: false }, ordering: 'attribution', units: 10, active, steps };
}

function summarised(...measured: readonly MeasuredCurve[]): IoiCurve[] {
  return ioiCurves(measured, UNPATCHED, { prompts: 2, seconds: 1, seed: 3 });
}

test('levels, areas and costs are those of curves worked out by hand', () => {
  const [tied, pca] = summarised(curve('tied', 4, [[1, [6, 0]], [2, [2, 2]], [4, [0, 0]]]), curve('pca', 8, [[4, [3, 1]], [8, [0, 0]]])); // prettier-ignore
  assert.deepEqual(tied.points.map(({ patched, kl, magnitude }) => [patched, kl, magnitude]), [[0, 4, 0], [1, 3, 10], [2, 2, 20], [4, 0, 40]]); // prettier-ignore
  // Half of 4 is first reached with 2, a quarter and a tenth only with all.
  assert.deepEqual(tied.levels.map(({ share, patched, magnitude }) => [share, patched.value, magnitude.value]), [[0.5, 2, 20], [0.25, 4, 40], [0.1, 4, 40]]); // prettier-ignore
  assert.equal(tied.areaTo, 4);
  assert.equal(tied.area.value, (0.875 + 0.625 + 2 * 0.25) / 4);
  // Cut at 4 of 8 patches: from 1 to 1/2.
  assert.equal(pca.area.value, 0.75);
  assert.deepEqual(tied.against.map(({ method, area }) => [method, area.value]), [['pca', -0.25]]);
  assert.deepEqual(pca.against, []);
  assert.deepEqual(tied.cost, { sets: 3, runs: 6, rows: 9, seconds: 1.5, plain: { runs: 9, rows: 18, seconds: 9 } });
  for (const { area, levels } of [tied, pca]) for (const { value, interval } of [area, levels[0].patched]) assert.ok(interval!.low <= value! && value! <= interval!.high);
});

test('a dictionary that changes nothing has the whole area and reaches no level, and cuts nobody else short', () => {
  const [dead, pca] = summarised(curve('dead', 0, []), curve('pca', 8, [[4, [3, 1]], [8, [0, 0]]])); // prettier-ignore
  assert.deepEqual([dead.areaTo, pca.areaTo], [8, 8]);
  assert.equal(dead.area.value, 1);
  assert.deepEqual(dead.levels.map(({ patched }) => patched.value), [null, null, null]);
  assert.equal(pca.area.value, (4 * 0.75 + 4 * 0.25) / 8);
  assert.equal(dead.against[0].area.value, 0.5);
});
