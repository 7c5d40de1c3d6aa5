import { availableParallelism } from 'node:os';
import { openGraphRunner } from '../../src/adapters/ort/graphRunner.ts';
import { symmetricEigen } from '../../src/baselines/eigen.ts';
import { Rng } from '../../src/math/rng.ts';
import { graphKernels, shared } from '../../src/pipelines/graphKernels.ts';

/**
 * What fitting baselines costs: node scripts/bench/baselines.ts [D = 512] [vectors = 32768] [eigen]
 * Best of three runs of each pass, in GFLOP/s and as time per million vectors; with `eigen` also one eigendecomposition.
 */
const D = Number(process.argv[2] ?? 512);
const n = Number(process.argv[3] ?? 32_768);
const threads = availableParallelism();
const runner = openGraphRunner({ threads });
const kernels = graphKernels(runner);
const rng = new Rng(1);
const vectors = shared(n * D);
for (let i = 0; i < vectors.length; i++) vectors[i] = rng.next() - 0.5;
const W = Float32Array.from({ length: D * D }, () => rng.normal() / Math.sqrt(D));

async function best(run: () => Promise<unknown>): Promise<number> {
  let seconds = Infinity;
  for (let i = 0; i < 3; i++) {
    const started = performance.now();
    await run();
    seconds = Math.min(seconds, (performance.now() - started) / 1000);
  }
  return seconds;
}

async function pass(name: string, flopsPerVector: number, run: () => Promise<unknown>): Promise<void> {
  const seconds = await best(run);
  console.log(`${name.padEnd(28)} ${((flopsPerVector * n) / seconds / 1e9).toFixed(0).padStart(5)} GFLOP/s ${((seconds / n) * 1e6).toFixed(2).padStart(9)} s per million vectors`);
}

console.log(`D ${D}, ${n} vectors, ${threads} threads`);
await pass('covariance (float64)', 2 * D * D, () => kernels.moments(vectors, new Float64Array(D)));
await pass('FastICA, one iteration', 4 * D * D, () => kernels.icaPass(vectors, W));
const codes = shared(n * D).fill(0.5);
await pass('NMF of D rows, one iteration', 8 * D * D, () => kernels.nmfPass(vectors, new Float32Array(D).fill(-0.5), codes, W.map(Math.abs)));
console.log(`nearest orthogonal matrix    ${(await best(() => kernels.nearestOrthogonal(Float64Array.from(W)))).toFixed(2)} s`);
await kernels.close();
await runner.close();
if (process.argv[4] === 'eigen') {
  const matrix = new Float64Array(D * D);
  for (let i = 0; i < D; i++) for (let j = 0; j <= i; j++) matrix[i * D + j] = matrix[j * D + i] = rng.normal();
  const started = performance.now();
  symmetricEigen(matrix);
  console.log(`eigenvectors                 ${((performance.now() - started) / 1000).toFixed(1)} s, one thread`);
}
