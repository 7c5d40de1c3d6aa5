import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { openGraphRunner } from '../../src/adapters/ort/graphRunner.ts';
import { plainKernels } from '../../src/baselines/plainKernels.ts';
import { Rng } from '../../src/math/rng.ts';
import { graphKernels } from '../../src/pipelines/graphKernels.ts';

const runner = openGraphRunner({ threads: 1 });
// Chunks of 1024 vectors and less: every sum goes over several, the last one short.
const kernels = graphKernels(runner, 1);
after(async () => {
  await kernels.close();
  await runner.close();
});

const D = 7;
const n = 2300;
const rng = new Rng(4);
const normals = (count: number): Float32Array => Float32Array.from({ length: count }, () => rng.normal());
const vectors = normals(n * D).map((value, i) => value * (1 + (i % D)) + 100 * Number(i % D === 3));

function assertClose(found: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number, what: string): void {
  assert.equal(found.length, expected.length, what);
  const scale = Math.max(...Array.from(expected, Math.abs));
  for (let i = 0; i < found.length; i++) assert.ok(Math.abs(found[i]! - expected[i]!) <= tolerance * scale, `${what} ${i}: ${found[i]}, expected ${expected[i]}`);
}

test('moments, in double precision', async () => {
  const origin = Float64Array.from({ length: D }, (_, d) => vectors[d]! + 1e-9);
  const [found, expected] = [await kernels.moments(vectors, origin), await plainKernels.moments(vectors, origin)];
  assert.equal(found.count, n);
  assertClose(found.sums, expected.sums, 1e-13, 'sums');
  assertClose(found.products, expected.products, 1e-13, 'products');
});

test('projections, cross products and tails', async () => {
  const mean = vectors.slice(0, D);
  const rows = normals(3 * D);
  assertClose(await kernels.project(vectors, mean, rows), await plainKernels.project(vectors, mean, rows), 1e-6, 'projections');
  const b = normals(n * 4);
  assertClose(await kernels.crossProducts(vectors, mean, b), await plainKernels.crossProducts(vectors, mean, b), 1e-5, 'cross products');

  const W = normals(D * D);
  const [found, expected] = [await kernels.tails(vectors, W, 20), await plainKernels.tails(vectors, W, 20)];
  assert.equal(found.k, 20);
  assertClose(found.high, expected.high, 1e-6, 'high');
  assertClose(found.low, expected.low, 1e-6, 'low');
  assert.equal((await kernels.tails(vectors.slice(0, 5 * D), W, 20)).k, 5);
});

test('a pass of FastICA', async () => {
  const z = normals(n * D);
  const W = normals(D * D);
  const [found, expected] = [await kernels.icaPass(z, W), await plainKernels.icaPass(z, W)];
  assertClose(found.products, expected.products, 1e-5, 'products');
  assertClose(found.slopes, expected.slopes, 1e-5, 'slopes');
});

test('the nearest orthogonal matrix, of one with singular values from 1 to 1e-9', async () => {
  const left = await plainKernels.nearestOrthogonal(Float64Array.from(normals(D * D)));
  const scaled = left.map((value, i) => value * 10 ** (-1.5 * Math.floor(i / D)));
  // diag(s)·Q is nearest to Q.
  for (const some of [kernels, plainKernels]) assertClose(await some.nearestOrthogonal(scaled), left, 1e-6, 'orthogonal');
});

test('a pass of NMF', async () => {
  const shift = Float32Array.from({ length: D }, (_, d) => Math.min(...vectors.filter((_v, i) => i % D === d)));
  const F = 5;
  const rows = normals(F * D).map(Math.abs);
  const [a, b] = [normals(n * F).map(Math.abs), new Float32Array(n * F)];
  b.set(a);
  const [found, expected] = [await kernels.nmfPass(vectors, shift, a, rows), await plainKernels.nmfPass(vectors, shift, b, rows)];
  assertClose(a, b, 1e-5, 'codes');
  assertClose(found.codesByData, expected.codesByData, 1e-5, 'codes by data');
  assertClose(found.codesByCodes, expected.codesByCodes, 1e-5, 'codes by codes');
});
