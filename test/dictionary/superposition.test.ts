import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SuperpositionData, type SuperpositionSpec } from '../../src/dictionary/superpositionData.ts';

const SPEC: SuperpositionSpec = { features: 40, dims: 20, active: 2, power: 0, correlated: false, seed: 3 };

/** Σ of squares of a [n, D] block's rows, averaged. */
function meanSquare(vectors: Float32Array, D: number): number {
  return vectors.reduce((sum, value) => sum + value * value, 0) / (vectors.length / D);
}

/**
 * How often features are active, alone and in pairs, read back from vectors: with as many dimensions as features, and
 * directions that are then independent, the magnitudes are the solution of a linear system.
 */
function activity(spec: SuperpositionSpec, count: number): { singles: number[]; pairs: number[][] } {
  const { features: G } = spec;
  const data = new SuperpositionData({ ...spec, dims: G });
  const vectors = data.vectors('a', count);
  const inverse = inverted(data.directions, G);
  const singles = Array.from({ length: G }, () => 0);
  const pairs = Array.from({ length: G }, () => Array.from({ length: G }, () => 0));
  for (let row = 0; row < count; row++) {
    const on: number[] = [];
    for (let i = 0; i < G; i++) {
      let magnitude = 0;
      for (let d = 0; d < G; d++) magnitude += vectors[row * G + d]! * inverse[d * G + i]!;
      if (magnitude > 1e-3) on.push(i);
    }
    for (const i of on) {
      singles[i]! += 1 / count;
      for (const j of on) pairs[i]![j]! += 1 / count;
    }
  }
  return { singles, pairs };
}

/** Inverse of [n, n] by Gauss and Jordan with pivoting. */
function inverted(matrix: Float32Array, n: number): Float64Array {
  const a = Array.from({ length: n }, (_, i) => Array.from({ length: 2 * n }, (_, j) => (j < n ? matrix[i * n + j]! : j - n === i ? 1 : 0)));
  for (let i = 0; i < n; i++) {
    let pivot = i;
    for (let r = i; r < n; r++) if (Math.abs(a[r]![i]!) > Math.abs(a[pivot]![i]!)) pivot = r;
    [a[i], a[pivot]] = [a[pivot]!, a[i]!];
    const by = a[i]![i]!;
    a[i] = a[i]!.map((value) => value / by);
    for (let r = 0; r < n; r++) if (r !== i) a[r] = a[r]!.map((value, j) => value - a[r]![i]! * a[i]![j]!);
  }
  return Float64Array.from(a.flatMap((row) => row.slice(n)));
}

test('directions have length 1, blocks are reproducible and differ', () => {
  const data = new SuperpositionData(SPEC);
  for (let i = 0; i < 40; i++) assert.ok(Math.abs(Math.hypot(...data.directions.subarray(i * 20, (i + 1) * 20)) - 1) < 1e-6);
  assert.deepEqual(new SuperpositionData(SPEC).vectors('7', 50), data.vectors('7', 50));
  assert.notDeepEqual(data.vectors('8', 50), data.vectors('7', 50));
  assert.notDeepEqual(new SuperpositionData({ ...SPEC, seed: 4 }).directions, data.directions);
});

test('features are active as often as the spec says', () => {
  const uniform = activity(SPEC, 8000).singles;
  for (const share of uniform) assert.ok(Math.abs(share - 0.05) < 0.015, `${share}`);
  const power = activity({ ...SPEC, power: 1 }, 8000).singles;
  const total = Array.from({ length: 40 }, (_, i) => 1 / (i + 1)).reduce((sum, weight) => sum + weight, 0);
  for (const i of [0, 1, 3, 9]) assert.ok(Math.abs(power[i]! / (2 / total / (i + 1)) - 1) < 0.15, `feature ${i}: ${power[i]}`);
});

test('magnitudes are products of two uniform draws: a vector has mean square length active / 9 where directions are orthogonal on average', () => {
  const data = new SuperpositionData({ ...SPEC, features: 400, dims: 200 });
  // E[(uv)²] = 1/9; cross terms vanish in expectation over directions and are small here.
  assert.ok(Math.abs(meanSquare(data.vectors('m', 5000), 200) / (2 / 9) - 1) < 0.1);
});

test('correlated features come together more often than by chance, and as often each', () => {
  const excess = ({ singles, pairs }: ReturnType<typeof activity>): number => {
    let [found, chance] = [0, 0];
    for (let i = 0; i < singles.length; i++) {
      for (let j = 0; j < i; j++) {
        found += pairs[i]![j]!;
        chance += singles[i]! * singles[j]!;
      }
    }
    return found / chance;
  };
  const correlated = activity({ ...SPEC, correlated: true }, 8000);
  assert.ok(Math.abs(correlated.singles.reduce((sum, share) => sum + share, 0) - 2) < 0.15);
  assert.ok(Math.abs(excess(activity(SPEC, 8000)) - 1) < 0.03);
  assert.ok(excess(correlated) > 1.04, `${excess(correlated)}`);
});

test('refuses specs that make no sense', () => {
  for (const wrong of [{ dims: 1 }, { features: 1.5 }, { active: 0 }, { active: 41 }, { power: -1 }, { power: 3 }, { features: 5000, correlated: true }]) {
    assert.throws(() => new SuperpositionData({ ...SPEC, ...wrong }), { code: 'BAD_INPUT' }, JSON.stringify(wrong));
  }
});
