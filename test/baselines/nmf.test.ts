import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fitNmf, NMF_DEFAULTS } from '../../src/baselines/nmf.ts';
import { nmfParameters } from '../../src/baselines/nmfEncoder.ts';
import { plainKernels } from '../../src/baselines/plainKernels.ts';
import { decode, encode } from '../../src/dictionary/encode.ts';
import { CallerError } from '../../src/domain/errors.ts';
import { VarianceMeter } from '../../src/math/varianceMeter.ts';
import { asDictionary } from './asDictionary.ts';
import { readFixture } from './readFixture.ts';

interface Fixture {
  readonly n: number;
  readonly d: number;
  readonly f: number;
  readonly iterations: number;
  readonly x: number[];
  readonly codes0: number[];
  readonly rows0: number[];
  readonly codes: number[];
  readonly rows: number[];
  readonly error: number;
  readonly bestError: number;
}

const fixture = readFixture<Fixture>('nmf');
const { n, d: D, f: F } = fixture;
const vectors = Float32Array.from(fixture.x);

function product(codes: ArrayLike<number>, rows: ArrayLike<number>): Float64Array {
  return Float64Array.from({ length: n * D }, (_, at) => {
    let sum = 0;
    for (let j = 0; j < F; j++) sum += codes[Math.floor(at / D) * F + j]! * rows[j * D + (at % D)]!;
    return sum;
  });
}

function errorOf(codes: ArrayLike<number>, rows: ArrayLike<number>, shift: Float32Array): number {
  return Math.sqrt(product(codes, rows).reduce((sum, value, i) => sum + (vectors[i]! - shift[i % D]! - value) ** 2, 0));
}

test("the same updates from the same start as scikit-learn's multiplicative solver", async () => {
  const start = { codes: Float32Array.from(fixture.codes0), rows: Float32Array.from(fixture.rows0) };
  const found = await fitNmf(plainKernels, vectors, D, { nFeatures: F, maxIterations: fixture.iterations, tolerance: 0, seed: 0 }, start);
  assert.equal(found.iterations, fixture.iterations);
  const expected = product(fixture.codes, fixture.rows);
  product(found.codes, found.rows).forEach((value, i) => assert.ok(Math.abs(value - expected[i]!) < 1e-4, `x̂ ${i}: ${value}, expected ${expected[i]}`));
  assert.ok(Math.abs(errorOf(found.codes, found.rows, found.shift) / fixture.error - 1) < 1e-5);
  for (let j = 0; j < F; j++) assert.ok(Math.abs(Math.hypot(...found.rows.subarray(j * D, (j + 1) * D)) - 1) < 1e-6);
  assert.ok([...found.codes, ...found.rows].every((value) => value >= 0));
});

test("a random start ends near scikit-learn's best, and stops by itself", async () => {
  const found = await fitNmf(plainKernels, vectors, D, { ...NMF_DEFAULTS, maxIterations: 2000, nFeatures: F, seed: 0 });
  assert.ok(found.converged && found.iterations < 2000);
  const error = errorOf(found.codes, found.rows, found.shift);
  assert.ok(error < 1.35 * fixture.bestError, `error ${error}, best ${fixture.bestError}`);
  assert.ok(Math.sqrt(found.squaredError) > 0.999 * error, 'the error reported is no better than what is returned');
});

test('as a dictionary it loses some of the fit, and says what the fit was', async () => {
  const fit = await fitNmf(plainKernels, vectors, D, { ...NMF_DEFAULTS, maxIterations: 500, nFeatures: F, seed: 0 });
  const { parameters, fvuFitted } = await nmfParameters(plainKernels, vectors, fit);
  const weights = asDictionary(parameters(null), D);
  const back = decode(weights, encode(weights, vectors));
  const meter = new VarianceMeter(D);
  meter.add(vectors);
  const fvu = vectors.reduce((sum, value, i) => sum + (value - back[i]!) ** 2, 0) / meter.sumOfSquares();
  assert.ok(fvuFitted < fvu && fvu < 0.5, `fitted ${fvuFitted}, dictionary ${fvu}`);
  // The constant leaves no mean error, in the top-k variant either.
  for (const k of [null, 2]) {
    const variant = asDictionary(parameters(k), D);
    const from = decode(variant, encode(variant, vectors));
    for (let d = 0; d < D; d++) {
      let mean = 0;
      for (let i = 0; i < n; i++) mean += (vectors[i * D + d]! - from[i * D + d]!) / n;
      assert.ok(Math.abs(mean) < 1e-5, `k ${k}: mean error of dimension ${d}: ${mean}`);
    }
  }
});

test('vectors that are all equal are refused', async () => {
  await assert.rejects(fitNmf(plainKernels, new Float32Array(20).fill(3), 2, { ...NMF_DEFAULTS, nFeatures: 2, seed: 0 }), (error) => error instanceof CallerError && error.code === 'BAD_INPUT');
});
