import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tQuantile } from '../../src/causal/interval.ts';
import type { SparseCodes } from '../../src/domain/sparseCodes.ts';
import { effectsByToken } from '../../src/interp/effectsByToken.ts';
import { binEdge, PATTERN_BINS, PatternCounters } from '../../src/interp/patternCounters.ts';
import { pickContexts } from '../../src/interp/pickContexts.ts';
import { bestPurity, purityAbove } from '../../src/interp/purity.ts';
import { splitHistogram } from '../../src/interp/splitHistogram.ts';
import { Rng } from '../../src/math/rng.ts';

/** Activations, mostly 0, with a pattern they are half about. */
function sample(n: number, seed: number): { activations: Float32Array; mask: Uint8Array } {
  const rng = new Rng(seed);
  const mask = Uint8Array.from({ length: n }, () => (rng.next() < 0.2 ? 1 : 0));
  const activations = Float32Array.from(mask, (bit) => (rng.next() < (bit === 1 ? 0.7 : 0.3) ? Math.round(20 * rng.next() + 10 * bit) / 8 : 0));
  return { activations, mask };
}

interface Counted {
  readonly matches: number;
  readonly wrong: number;
  readonly missed: number;
}

/** Counts one token after the other. */
function count(activations: Float32Array, mask: Uint8Array, fires: (value: number) => boolean): Counted {
  let [matches, wrong, missed] = [0, 0, 0];
  activations.forEach((value, i) => {
    if (fires(value) && mask[i] === 1) matches++;
    if (fires(value) && mask[i] === 0) wrong++;
    if (!fires(value) && mask[i] === 1) missed++;
  });
  return { matches, wrong, missed };
}

const f1Of = ({ matches, wrong, missed }: Counted): number => (matches === 0 ? 0 : 2 / ((matches + wrong) / matches + (matches + missed) / matches));

test('purity is what counting token by token gives, and no threshold is better than the best', () => {
  for (let seed = 0; seed < 20; seed++) {
    const { activations, mask } = sample(300, seed);
    for (const threshold of [0, 0.5, 2]) {
      const counted = count(activations, mask, (value) => value > threshold);
      const found = purityAbove(activations, mask, threshold);
      assert.deepEqual([found.matches, found.falsePositives, found.falseNegatives], [counted.matches, counted.wrong, counted.missed]);
      assert.equal(found.precision, counted.matches / (counted.matches + counted.wrong));
      assert.equal(found.recall, counted.matches / (counted.matches + counted.missed));
      assert.ok(Math.abs(found.f1! - f1Of(counted)) < 1e-12);
    }
    const thresholds = [...new Set(activations)].filter((value) => value > 0);
    const scores = thresholds.map((threshold) => f1Of(count(activations, mask, (value) => value >= threshold)));
    const best = bestPurity(activations, mask)!;
    assert.ok(Math.abs(best.f1! - Math.max(...scores)) < 1e-12);
    assert.equal(best.matches, count(activations, mask, (value) => value >= best.threshold).matches);
  }
  assert.equal(bestPurity(new Float32Array(3), Uint8Array.of(1, 0, 0)), null);
  assert.equal(bestPurity(Float32Array.of(1, 2), new Uint8Array(2)), null);
  assert.deepEqual(purityAbove(new Float32Array(2), new Uint8Array(2), 0), { rule: 'above', threshold: 0, matches: 0, falsePositives: 0, falseNegatives: 0, precision: null, recall: null, f1: null });
});

test('streamed counters equal counting, in whatever pieces, and their best threshold is the best of the bin edges', () => {
  const features = 6;
  const columns = Array.from({ length: features }, (_, j) => sample(400, 50 + j).activations.map((value) => value * 3 ** (j - 3)));
  columns[5].fill(0);
  const { mask } = sample(400, 50);
  const pattern = mask.reduce((sum, bit) => sum + bit, 0);
  const codesOf = (from: number, to: number): SparseCodes => {
    const [offsets, at, values] = [[0], [] as number[], [] as number[]];
    for (let r = from; r < to; r++) {
      columns.forEach((column, j) => {
        if (column[r] === 0) return;
        values.push(column[r]);
        at.push(j);
      });
      offsets.push(at.length);
    }
    return { rows: to - from, nFeatures: features, offsets: Uint32Array.from(offsets), features: Uint32Array.from(at), values: Float32Array.from(values) };
  };
  const edges = Array.from({ length: PATTERN_BINS }, (_, bin) => binEdge(bin));
  assert.ok(edges.every((edge, i) => i === 0 || edge > edges[i - 1]) && edges[0] === 0 && edges[96] === 1);
  for (const pieces of [[0, 400], [0, 1, 130, 131, 400]]) {
    const counters = new PatternCounters(features, 0.25);
    for (let i = 1; i < pieces.length; i++) counters.add(codesOf(pieces[i - 1], pieces[i]), mask, pieces[i - 1]);
    columns.forEach((column, j) => {
      const { purity, best, meanOnPattern, maxActivation } = counters.of(j, pattern);
      assert.deepEqual(purity, purityAbove(column, mask, 0.25));
      assert.equal(maxActivation, Math.max(...column));
      assert.ok(Math.abs(meanOnPattern - column.reduce((sum, value, i) => sum + mask[i] * value, 0) / pattern) < 1e-9);
      if (j === 5) return assert.equal(best, null);
      const scores = edges.map((edge) => f1Of(count(column, mask, (value) => value > 0 && value >= edge)));
      assert.ok(Math.abs(best!.f1! - Math.max(...scores)) < 1e-12, `feature ${j}`);
      assert.equal(best!.matches, count(column, mask, (value) => value > 0 && value >= best!.threshold).matches);
      assert.ok(best!.f1! <= bestPurity(column, mask)!.f1! + 1e-12);
      return undefined;
    });
  }
});

test('a split histogram counts every token once, in the right bin, and names the tokens that make up most of it', () => {
  const rng = new Rng(4);
  const { activations } = sample(1000, 9);
  const ids = Int32Array.from(activations, (value) => (value > 2 ? 3 : rng.int(12)));
  const { edges, parts } = splitHistogram(activations, ids, { bins: 10, top: 4 });
  const max = Math.max(...activations);
  assert.deepEqual([edges.length, edges[0], edges[10]], [11, 0, max]);
  assert.equal(parts.reduce((sum, { zero, counts }) => sum + zero + counts.reduce((a, b) => a + b, 0), 0), 1000);
  assert.deepEqual([parts.length, parts[0].id, parts[4].id], [5, 3, null]);
  assert.ok(Math.abs(parts.reduce((sum, { share }) => sum + share, 0) - 1) < 1e-9);
  const named = new Set(parts.map(({ id }) => id));
  for (const { id, zero, counts } of parts) {
    const mine = [...activations].filter((_, i) => (id === null ? !named.has(ids[i]) : ids[i] === id));
    assert.equal(zero, mine.filter((value) => value === 0).length);
    assert.deepEqual(counts, edges.slice(1).map((edge, i) => mine.filter((value) => value > 0 && value > edges[i] - 1e-9 * max && value <= edge + 1e-9 * max && Math.ceil((value / max) * 10) - 1 === i).length));
  }
  assert.deepEqual(splitHistogram([0, 0], [1, 2], { bins: 10, top: 3 }), { edges: [], parts: [{ id: null, zero: 2, counts: [], share: 0 }] });
  assert.deepEqual(splitHistogram([1, 2], [7, 7], { bins: 2, top: 3 }).parts, [{ id: 7, zero: 0, counts: [1, 1], share: 1 }]);
});

test('effects are summed up by next token', () => {
  const effects = [0.5, 0.05, -0.3, 2, -0.05, 1];
  const found = effectsByToken(effects, [7, 7, 7, 8, 8, 9], [1, 0, 1, 1, 1, 0], { threshold: 0.1, top: 2, quantile: tQuantile });
  assert.deepEqual(found.loses.map(({ id, positive, positiveSum }) => [id, positive, positiveSum]), [[8, 1, 2], [9, 1, 1]]);
  assert.deepEqual(found.gains.map(({ id, negative, negativeSum }) => [id, negative, negativeSum]), [[7, 1, -0.3]]);
  assert.deepEqual([found.positive, found.negative, found.positions.n, found.activePositions.n], [3, 1, 6, 4]);
  const [eight] = found.loses;
  // Mean of 2 and −0.05; standard deviation 2.05/√2, over √2; Student's t of one degree of freedom is 12.706.
  assert.ok(Math.abs(eight.all.mean! - 0.975) < 1e-12 && Math.abs(eight.all.halfWidth! - 12.7062 * 1.025) < 1e-4);
  assert.deepEqual([found.loses[1].active, found.gains[0].active.n], [{ n: 0, mean: null, halfWidth: null }, 2]);
});

test('contexts: strongest first, one a row, false positives and negatives by the threshold', () => {
  const activations = Float32Array.of(0, 5, 4, 0, /**/ 3, 0, 0, 0, /**/ 0, 1, 0, 2);
  const mask = Uint8Array.of(0, 1, 0, 1, /**/ 0, 0, 0, 0, /**/ 0, 1, 0, 0);
  const places = (kind: string): number[] => pickContexts(activations, 4, 2, { mask, threshold: 2 }).filter((one) => one.kind === kind).map(({ place }) => place);
  assert.deepEqual(places('strongest'), [1, 4]);
  assert.deepEqual(places('middle'), [4, 11]);
  assert.deepEqual(places('false positive'), [2, 4]);
  assert.deepEqual(places('false negative'), [3, 9]);
  assert.deepEqual(pickContexts(activations, 4, 9, null).filter(({ kind }) => kind.startsWith('false')), []);
});
