import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stateToTensors, tensorsToState } from '../../src/activations/collectorTensors.ts';
import type { FloatTensors } from '../../src/activations/collectorTensors.ts';
import { FeatureCollector } from '../../src/activations/featureCollector.ts';
import type { SparseCodes } from '../../src/domain/sparseCodes.ts';
import { Rng } from '../../src/math/rng.ts';

const F = 12;
const COLS = 150; // two fragments of 64 and a rest of 22

/** Dense activations [rows, COLS, F]: feature f is active with probability ~ 0.4·2^-f, never for the last; coarse values make ties. */
function denseRows(seed: number, rows: number): Float32Array {
  const rng = new Rng(seed);
  const dense = new Float32Array(rows * COLS * F);
  for (let i = 0; i < dense.length; i++) {
    const f = i % F;
    if (f === F - 1 || rng.next() > 0.4 * 2 ** -f) continue;
    dense[i] = f % 2 === 0 ? (1 + rng.int(6)) / 4 : Math.exp(3 * rng.normal());
  }
  return dense;
}

function toCodes(dense: Float32Array): SparseCodes {
  const rows = dense.length / F;
  const offsets = new Uint32Array(rows + 1);
  const features: number[] = [];
  const values: number[] = [];
  for (let r = 0; r < rows; r++) {
    for (let f = 0; f < F; f++) {
      if (dense[r * F + f] === 0) continue;
      features.push(f);
      values.push(dense[r * F + f]!);
    }
    offsets[r + 1] = features.length;
  }
  return { rows, nFeatures: F, offsets, features: Uint32Array.from(features), values: Float32Array.from(values) };
}

function rowsOf(dense: Float32Array, from: number, to: number): SparseCodes {
  return toCodes(dense.subarray(from * COLS * F, to * COLS * F));
}

function column(dense: Float32Array, f: number): number[] {
  return Array.from({ length: dense.length / F }, (_, r) => dense[r * F + f]!);
}

test('equals a brute-force reference: density, max, mean, histogram, top fragments of distinct rows', () => {
  const rows = 90;
  const dense = denseRows(7, rows);
  const collector = new FeatureCollector(F, COLS, 3);
  for (let r = 0; r < rows; r += 9) collector.add(rowsOf(dense, r, r + 9), Array.from({ length: 9 }, (_, i) => r + i));
  for (let f = 0; f < F; f++) {
    const found = collector.feature(f);
    const values = column(dense, f);
    const active = values.filter((v) => v > 0);
    assert.equal(found.density, active.length / values.length);
    assert.equal(found.maxActivation, Math.max(0, ...active));
    if (active.length === 0) assert.equal(found.meanActivation, null);
    else assert.ok(Math.abs(found.meanActivation! - active.reduce((s, v) => s + v, 0) / active.length) < 1e-9 * found.maxActivation);
    const { edges, counts } = found.histogram;
    assert.equal(counts.reduce((s, c) => s + c, 0), active.length);
    counts.forEach((count, i) => assert.equal(count, active.filter((v) => v >= edges[i]! && v < edges[i + 1]!).length));

    const best = Array.from({ length: rows }, (_, row) => {
      const parts = [0, 1].map((part) => values.slice(row * COLS + part * 64, row * COLS + part * 64 + 64));
      const maxima = parts.map((p) => Math.max(...p));
      const part = maxima[1]! > maxima[0]! ? 1 : 0;
      return { row, start: part * 64, maxActivation: maxima[part]!, activations: parts[part]! };
    })
      .filter((e) => e.maxActivation > 0)
      .sort((a, b) => b.maxActivation - a.maxActivation || a.row - b.row)
      .slice(0, 20);
    const top = found.exemplars.filter((e) => e.kind === 'top').map(({ row, start, maxActivation, activations }) => ({ row, start, maxActivation, activations }));
    assert.deepEqual(top, best);
  }
});

test('sampled exemplars are active fragments with their true activations, in ascending bands', () => {
  const rows = 90;
  const dense = denseRows(8, rows);
  const collector = new FeatureCollector(F, COLS, 3);
  collector.add(rowsOf(dense, 0, rows), Array.from({ length: rows }, (_, i) => i));
  for (let f = 0; f < F; f++) {
    const values = column(dense, f);
    const { exemplars } = collector.feature(f);
    const sampled = exemplars.filter((e) => e.kind !== 'top');
    for (const e of sampled) {
      assert.ok(e.maxActivation > 0);
      assert.deepEqual(e.activations, values.slice(e.row * COLS + e.start, e.row * COLS + e.start + 64));
    }
    const random = sampled.filter((e) => e.kind === 'random').map((e) => `${e.row}:${e.start}`);
    const bands = sampled.filter((e) => e.kind === 'quantile');
    assert.equal(new Set(random).size, random.length);
    if (random.length < 20) continue;
    for (let i = 1; i < bands.length; i++) assert.ok(bands[i - 1]!.maxActivation <= bands[i]!.maxActivation);
    if (f < 4) {
      assert.equal(bands.length, 20);
      assert.equal(new Set([...random, ...bands.map((e) => `${e.row}:${e.start}`)]).size, 40);
    }
  }
});

test('the random sample is uniform over active fragments', () => {
  const rows = 40;
  const dense = new Float32Array(rows * COLS * F);
  for (let row = 0; row < rows; row++) for (const t of [3, 70]) dense[(row * COLS + t) * F] = 1 + row;
  const codes = toCodes(dense);
  const hits = new Float64Array(rows);
  const trials = 300;
  for (let seed = 0; seed < trials; seed++) {
    const collector = new FeatureCollector(F, COLS, seed);
    collector.add(codes, Array.from({ length: rows }, (_, i) => i));
    for (const e of collector.feature(0).exemplars) if (e.kind === 'random') hits[e.row]!++;
  }
  // 20 of 80 fragments: each row expects trials·20/40 hits, sd about 10.6.
  const expected = (trials * 20) / rows;
  for (const hit of hits) assert.ok(Math.abs(hit - expected) < 5 * 10.6, `${hit} hits, expected about ${expected}`);
});

test('order of rows and batch size do not matter, and a restored state continues the same', () => {
  const rows = 60;
  const dense = denseRows(9, rows);
  const all = new FeatureCollector(F, COLS, 5);
  all.add(rowsOf(dense, 0, rows), Array.from({ length: rows }, (_, i) => i));

  const first = new FeatureCollector(F, COLS, 5);
  first.add(rowsOf(dense, 0, 23), Array.from({ length: 23 }, (_, i) => i));
  const tensors: FloatTensors = new Map();
  stateToTensors('d', first.save(), tensors);
  const second = new FeatureCollector(F, COLS, 5);
  second.restore(tensorsToState('d', tensors));
  for (let r = 23; r < rows; r++) second.add(rowsOf(dense, r, r + 1), [r]);

  const backwards = new FeatureCollector(F, COLS, 5);
  for (let r = rows - 1; r >= 0; r--) backwards.add(rowsOf(dense, r, r + 1), [r]);
  for (let f = 0; f < F; f++) {
    assert.deepEqual(second.feature(f), all.feature(f));
    const { meanActivation: meanBack, ...restBack } = backwards.feature(f);
    const { meanActivation, ...rest } = all.feature(f);
    assert.deepEqual(restBack, rest);
    assert.ok(meanActivation === null ? meanBack === null : Math.abs(meanBack! / meanActivation - 1) < 1e-12);
  }
});

test('rows shorter than a fragment give one fragment', () => {
  const codes: SparseCodes = {
    rows: 10, nFeatures: 1, offsets: Uint32Array.of(0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2), features: Uint32Array.of(0, 0), values: Float32Array.of(2, 3),
  };
  const collector = new FeatureCollector(1, 5, 0);
  collector.add(codes, [4, 5]);
  const { exemplars } = collector.feature(0);
  assert.deepEqual(exemplars[0], { kind: 'top', rank: 0, row: 5, start: 0, activations: [0, 3, 0, 0, 0], maxActivation: 3 });
  assert.equal(exemplars.filter((e) => e.kind === 'top').length, 2);
});
