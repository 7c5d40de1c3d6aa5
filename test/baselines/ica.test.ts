import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CovarianceMeter } from '../../src/baselines/covariance.ts';
import { signedPairs } from '../../src/baselines/directions.ts';
import { symmetricEigen } from '../../src/baselines/eigen.ts';
import { fitIca, ICA_DEFAULTS } from '../../src/baselines/ica.ts';
import { plainKernels } from '../../src/baselines/plainKernels.ts';
import { decode, encode } from '../../src/dictionary/encode.ts';
import { timesTransposed } from '../../src/math/matrices.ts';
import { asDictionary } from './asDictionary.ts';
import { readFixture } from './readFixture.ts';

interface Fixture {
  readonly n: number;
  readonly d: number;
  readonly x: number[];
  readonly mixing: number[];
  readonly sources: number[];
  readonly found: number[];
}

const fixture = readFixture<Fixture>('ica');
const { n, d: D } = fixture;
const vectors = Float32Array.from(fixture.x);

async function fit(data = vectors, seed = 0, maxIterations: number = ICA_DEFAULTS.maxIterations) {
  const meter = new CovarianceMeter(D);
  const origin = new Float64Array(D);
  meter.add(await plainKernels.moments(data, origin), origin);
  return await fitIca(plainKernels, data, meter.mean, symmetricEigen(meter.covariance()), { ...ICA_DEFAULTS, maxIterations, seed });
}

/** s [n, C] of the fitted directions. */
function sourcesOf({ reading, centre }: Awaited<ReturnType<typeof fit>>['directions'], data = vectors): Float64Array {
  const centred = Float64Array.from(data, (value, i) => value - centre[i % D]!);
  return timesTransposed(centred, reading, D);
}

function correlation(a: ArrayLike<number>, i: number, b: ArrayLike<number>, j: number): number {
  let [sa, sb, aa, bb, ab] = [0, 0, 0, 0, 0];
  for (let r = 0; r < n; r++) {
    const [x, y] = [a[r * D + i]!, b[r * D + j]!];
    sa += x; sb += y; aa += x * x; bb += y * y; ab += x * y;
  }
  return (ab - (sa * sb) / n) / Math.sqrt((aa - (sa * sa) / n) * (bb - (sb * sb) / n));
}

/** Best |correlation| of every component of `b` with one of `a`, and that it is a matching. */
function matched(a: ArrayLike<number>, b: ArrayLike<number>): number[] {
  const used = new Set<number>();
  return Array.from({ length: D }, (_, j) => {
    const all = Array.from({ length: D }, (_c, i) => Math.abs(correlation(a, i, b, j)));
    const best = all.indexOf(Math.max(...all));
    assert.ok(!used.has(best), 'two sources match one component');
    used.add(best);
    return all[best]!;
  });
}

test("independent sources come back, the same as scikit-learn's, from any start", async () => {
  for (const seed of [0, 1, 2]) {
    const found = await fit(vectors, seed);
    assert.ok(found.converged && found.components === D);
    const s = sourcesOf(found.directions);
    for (const r of matched(s, fixture.sources)) assert.ok(r > 0.99, `|r| with the true source ${r}`);
    for (const r of matched(s, fixture.found)) assert.ok(r > 0.9999, `|r| with scikit-learn's ${r}`);
  }
});

test('Amari distance of unmixing · mixing', async () => {
  const { directions } = await fit();
  const mixing = Float64Array.from({ length: D * D }, (_, i) => fixture.mixing[(i % D) * D + Math.floor(i / D)]!); // transposed
  const P = timesTransposed(directions.reading, mixing, D).map(Math.abs);
  let total = 0;
  for (let i = 0; i < D; i++) {
    const row = Array.from({ length: D }, (_, j) => P[i * D + j]!);
    const column = Array.from({ length: D }, (_, j) => P[j * D + i]!);
    for (const list of [row, column]) total += list.reduce((a, b) => a + b, 0) / Math.max(...list) - 1;
  }
  const amari = total / (2 * D * (D - 1));
  assert.ok(amari < 0.05, `Amari distance ${amari}`);
});

test('the stronger tail is positive, whatever the sign of the data', async () => {
  for (const data of [vectors, vectors.map((value) => -value)]) {
    const { directions } = await fit(data);
    const s = sourcesOf(directions, data);
    for (let c = 0; c < D; c++) {
      const column = Array.from({ length: n }, (_, i) => s[i * D + c]!).sort((a, b) => Math.abs(b) - Math.abs(a));
      const mass = column.slice(0, 20).reduce((sum, value) => sum + value, 0);
      assert.ok(mass > 0, `component ${c}: mass of the 20 strongest ${mass}`);
    }
  }
});

test('pairs reconstruct exactly and directions have unit norm', async () => {
  const { directions } = await fit();
  const weights = asDictionary(signedPairs(directions), D);
  const back = decode(weights, encode(weights, vectors));
  vectors.forEach((value, i) => assert.ok(Math.abs(value - back[i]!) < 1e-4 * (1 + Math.abs(value))));
  for (let j = 0; j < 2 * D; j++) assert.ok(Math.abs(Math.hypot(...weights.decoder.subarray(j * D, (j + 1) * D)) - 1) < 1e-6);
});

test('what did not converge says so; a flat dimension is left out', async () => {
  const early = await fit(vectors, 0, 2);
  assert.equal(early.converged, false);
  assert.equal(early.iterations, 2);
  assert.ok(early.change > ICA_DEFAULTS.tolerance);

  const flat = vectors.map((value, i) => (i % D === 2 ? 5 : value));
  const found = await fit(flat);
  assert.equal(found.components, D - 1);
  assert.ok(found.directions.reading.every(Number.isFinite));
});
