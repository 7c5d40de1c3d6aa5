import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expectedNormScale, divideBy } from '../../src/activations/inputScale.ts';
import { layoutRows } from '../../src/activations/rowSampler.ts';
import { scatterVectors } from '../../src/activations/scatter.ts';
import { planTraining } from '../../src/activations/shuffle.ts';

const settings = { rows: 103, cols: 10, skipPositions: 2, blockVectors: 100, heldOutVectors: 60, seed: 4 };

test('a layout uses every row once and is decided by the seed', () => {
  const layout = layoutRows(settings);
  assert.equal(layout.vectorsPerRow, 8);
  assert.deepEqual(layout.heldOut.map((group) => group.rows.length), [8]);
  assert.deepEqual(layout.blocks.map((group) => group.rows.length), [12, 12, 12, 12, 12, 12, 12, 11]);
  const all = [...layout.heldOut, ...layout.blocks].flatMap((group) => [...group.rows]);
  assert.deepEqual(all.toSorted((a, b) => a - b), Array.from({ length: 103 }, (_, i) => i));
  assert.notDeepEqual(all, all.toSorted((a, b) => a - b));
  assert.equal(new Set([...layout.heldOut, ...layout.blocks].map((group) => group.name)).size, 9);
  assert.deepEqual(layoutRows(settings), layout);
  assert.notDeepEqual(layoutRows({ ...settings, seed: 5 }), layout);
});

test('at most a tenth of the rows is held out, at least one', () => {
  assert.equal(layoutRows({ ...settings, heldOutVectors: 1e9 }).heldOut.reduce((sum, group) => sum + group.rows.length, 0), 10);
  assert.equal(layoutRows({ ...settings, rows: 2 }).heldOut[0]!.rows.length, 1);
  assert.throws(() => layoutRows({ ...settings, rows: 1 }), /at least 2 are needed/);
  assert.throws(() => layoutRows({ ...settings, skipPositions: 10 }), /skip positions: expected 0 to 9/);
});

test('a plan takes whole batches of every block, differently shuffled each epoch, up to the limit', () => {
  const layout = layoutRows(settings);
  const plan = planTraining(layout, { epochs: 2, maxVectors: null, batchSize: 32, seed: 1 });
  assert.equal(plan.blocks.length, 16);
  assert.equal(plan.blocks[0]!.vectors, 96);
  assert.equal(plan.blocks[7]!.vectors, 64); // 88 vectors
  assert.equal(plan.vectors, 2 * (7 * 96 + 64));
  assert.equal(plan.blocks[8]!.before, plan.vectors / 2);
  assert.equal(plan.blocks[8]!.group, plan.blocks[0]!.group);
  const places = plan.places(0);
  assert.deepEqual([...places].sort((a, b) => a - b), Array.from({ length: 96 }, (_, i) => i));
  assert.notDeepEqual(plan.places(8), places);
  assert.deepEqual(planTraining(layout, { epochs: 1, maxVectors: null, batchSize: 32, seed: 1 }).places(0), places);

  const limited = planTraining(layout, { epochs: 2, maxVectors: 200, batchSize: 32, seed: 1 });
  assert.equal(limited.vectors, 192);
  assert.deepEqual(limited.blocks.map((block) => block.vectors), [96, 96]);
  assert.throws(() => planTraining(layout, { epochs: 1, maxVectors: null, batchSize: 97, seed: 1 }), /no batch of 97 vectors/);
  assert.throws(() => planTraining(layout, { epochs: 1, maxVectors: 31, batchSize: 32, seed: 1 }), /limit 31/);
});

test('vectors go to their places, skipped positions and places beyond the limit left out', () => {
  // 2 rows of 3 positions, D = 2, the first position skipped: vectors 0..3 are (row, t) = (0,1) (0,2) (1,1) (1,2).
  const from = Float32Array.from({ length: 12 }, (_, i) => i);
  const to = new Float32Array(6);
  scatterVectors(from, { rows: 2, T: 3, D: 2, skip: 1 }, to, Uint32Array.of(9, 2, 0, 3, 1), 1, 3);
  assert.deepEqual(to, Float32Array.of(4, 5, 10, 11, 2, 3));
});

test('the expected-norm scale makes the mean norm √D', () => {
  const x = Float32Array.of(3, 4, 0, 10, 6, 8, 5, 0);
  assert.equal(expectedNormScale(x, 2), (5 + 10 + 10 + 5) / 4 / Math.SQRT2);
  divideBy(x, expectedNormScale(x, 2));
  assert.ok(Math.abs(expectedNormScale(x, 2) - 1) < 1e-6);
});
