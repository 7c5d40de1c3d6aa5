import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CovarianceMeter } from '../../src/baselines/covariance.ts';
import { symmetricEigen } from '../../src/baselines/eigen.ts';
import { plainKernels } from '../../src/baselines/plainKernels.ts';
import { Rng } from '../../src/math/rng.ts';
import { readFixture } from './readFixture.ts';

interface Fixture {
  readonly n: number;
  readonly d: number;
  readonly x: number[];
  readonly mean: number[];
  readonly covariance: number[];
  readonly eigenvalues: number[];
}

const fixture = readFixture<Fixture>('covariance');
const { d: D } = fixture;
const vectors = Float32Array.from(fixture.x);

/** Covariances are compared relative to √(C_aa·C_bb): the scale of their rounding. */
function assertCovariance(found: Float64Array, expected: ArrayLike<number>, tolerance: number): void {
  for (let a = 0; a < D; a++) {
    for (let b = 0; b < D; b++) {
      const scale = Math.sqrt(expected[a * (D + 1)]! * expected[b * (D + 1)]!);
      assert.ok(Math.abs(found[a * D + b]! - expected[a * D + b]!) <= tolerance * scale, `covariance (${a}, ${b}): ${found[a * D + b]}, expected ${expected[a * D + b]}`);
    }
  }
}

async function inBatches(sizes: readonly number[], meter = new CovarianceMeter(D)): Promise<CovarianceMeter> {
  let from = 0;
  for (const size of sizes) {
    const batch = vectors.subarray(from * D, (from + size) * D);
    const origin = meter.count === 0 ? Float64Array.from(batch.subarray(0, D)) : meter.mean;
    meter.add(await plainKernels.moments(batch, origin), origin);
    from += size;
  }
  return meter;
}

test("mean and covariance are numpy's, with a dimension at 4000 ± 0.01", async () => {
  const meter = await inBatches([40, 1, 60, 49]);
  assert.equal(meter.count, fixture.n);
  fixture.mean.forEach((value, i) => assert.ok(Math.abs(meter.mean[i]! - value) <= 1e-12 * Math.max(1, Math.abs(value))));
  assertCovariance(meter.covariance(), fixture.covariance, 1e-10);
});

test('batches and merging order change nothing but rounding', async () => {
  const whole = (await inBatches([150])).covariance();
  // The mean of 4000 itself is rounded to 5e-13, in a dimension of variance 1e-4.
  assertCovariance((await inBatches([7, 3, 100, 40])).covariance(), whole, 1e-10);

  const parts = await Promise.all([[0, 50], [50, 60], [60, 150]].map(async ([from, to]) => {
    const meter = new CovarianceMeter(D);
    const origin = Float64Array.from(vectors.subarray(from! * D, (from! + 1) * D));
    meter.add(await plainKernels.moments(vectors.slice(from! * D, to! * D), origin), origin);
    return meter;
  }));
  for (const order of [[0, 1, 2], [2, 0, 1], [1, 2, 0]]) {
    const merged = new CovarianceMeter(D);
    for (const part of order) merged.merge(parts[part]!);
    assert.equal(merged.count, 150);
    assertCovariance(merged.covariance(), whole, 1e-10);
  }
});

test("eigenvalues are numpy's; eigenvectors are orthonormal, rebuild the matrix, and have the sign the rule says", () => {
  const check = (matrix: Float64Array): void => {
    const n = Math.sqrt(matrix.length);
    const { values, vectors: rows } = symmetricEigen(matrix);
    const largest = values[0]!;
    for (let a = 0; a < n; a++) {
      if (a > 0) assert.ok(values[a]! <= values[a - 1]!);
      const row = rows.subarray(a * n, (a + 1) * n);
      assert.ok(row.reduce((best, value) => (Math.abs(value) > Math.abs(best) ? value : best), 0) > 0);
      for (let b = 0; b < n; b++) {
        let dot = 0;
        let rebuilt = 0;
        for (let i = 0; i < n; i++) {
          dot += rows[a * n + i]! * rows[b * n + i]!;
          rebuilt += values[i]! * rows[i * n + a]! * rows[i * n + b]!;
        }
        assert.ok(Math.abs(dot - (a === b ? 1 : 0)) < 1e-12, `orthonormal (${a}, ${b}): ${dot}`);
        assert.ok(Math.abs(rebuilt - matrix[a * n + b]!) < 1e-12 * largest, `rebuilt (${a}, ${b})`);
      }
    }
  };
  const covariance = Float64Array.from(fixture.covariance);
  check(covariance);
  symmetricEigen(covariance).values.forEach((value, i) => assert.ok(Math.abs(value - fixture.eigenvalues[i]!) < 1e-12 * fixture.eigenvalues[0]!));

  const rng = new Rng(5);
  const n = 60;
  const random = new Float64Array(n * n);
  for (let a = 0; a < n; a++) for (let b = 0; b <= a; b++) random[a * n + b] = random[b * n + a] = rng.normal() * Math.exp(-(a + b) / 20);
  check(random);
});
