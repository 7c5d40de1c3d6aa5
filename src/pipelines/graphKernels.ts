import { orthogonalStart, ORTHOGONAL_STEPS } from '../baselines/orthogonal.ts';
import { crossGraph, icaGraph, momentsGraph, nmfGraph, ORTHOGONAL_STEPS_PER_RUN, orthogonalGraph, projectGraph, tailsGraph } from '../baselines/graphs.ts';
import type { Kernels } from '../baselines/kernels.ts';
import { invariant } from '../domain/errors.ts';
import type { GraphRunner, GraphTensor, OpenGraph } from '../ports/GraphRunner.ts';

/** Numbers of one chunk of vectors: 64 MB of float32. */
const CHUNK_NUMBERS = 16 << 20;
const MIN_CHUNK = 1024;

/** The baselines' kernels on a graph runner, `chunkNumbers` of float32 at a time. Sums over chunks are in double precision, those within one in the graph's. */
export function graphKernels(runner: GraphRunner, chunkNumbers = CHUNK_NUMBERS): Kernels & { close(): Promise<void> } {
  const opened = new Map<() => Uint8Array<ArrayBuffer>, Promise<OpenGraph>>();
  const run = async (graph: () => Uint8Array<ArrayBuffer>, inputs: Readonly<Record<string, GraphTensor>>, outputs: readonly string[]): Promise<Readonly<Record<string, GraphTensor>>> => {
    let open = opened.get(graph);
    if (open === undefined) opened.set(graph, (open = runner.open(graph())));
    return (await open).run(inputs, outputs);
  };
  return {
    async moments(vectors, origin) {
      const D = origin.length;
      const sums = new Float64Array(D);
      const products = new Float64Array(D * D);
      for (const { part, n } of chunks(chunkNumbers, vectors, D)) {
        const out = await run(momentsGraph, { x: matrix(part, n), origin: { data: origin, shape: [D] } }, ['sums', 'products']);
        addTo(sums, out['sums']!);
        addTo(products, out['products']!);
      }
      return { count: vectors.length / D, sums, products };
    },

    async project(vectors, mean, rows) {
      const D = mean.length;
      const R = rows.length / D;
      const result = shared((vectors.length / D) * R);
      for (const { part, n, first } of chunks(chunkNumbers, vectors, Math.max(D, R), D)) {
        const out = await run(projectGraph, { x: matrix(part, n), mean: { data: mean, shape: [D] }, rows: matrix(rows, R) }, ['y']);
        result.set(out['y']!.data as Float32Array, first * R);
      }
      return result;
    },

    async icaPass(z, W) {
      const C = Math.sqrt(W.length);
      const products = new Float64Array(C * C);
      const slopes = new Float64Array(C).fill(z.length / C);
      for (const { part, n } of chunks(chunkNumbers, z, C)) {
        const out = await run(icaGraph, { z: matrix(part, n), W: matrix(W, C) }, ['products', 'squares']);
        addTo(products, out['products']!);
        addTo(slopes, out['squares']!, -1);
      }
      return { products, slopes };
    },

    async tails(z, W, k) {
      const C = Math.sqrt(W.length);
      let [high, low]: Float32Array[] = [new Float32Array(0), new Float32Array(0)];
      for (const { part, n } of chunks(chunkNumbers, z, C)) {
        const take = BigInt64Array.of(BigInt(Math.min(k, n)));
        const out = await run(tailsGraph, { z: matrix(part, n), W: matrix(W, C), k: { data: take, shape: [1] } }, ['high', 'low']);
        high = mergeTails(high, out['high']!.data as Float32Array, C, k, -1);
        low = mergeTails(low, out['low']!.data as Float32Array, C, k, 1);
      }
      return { k: high.length / C, high, low };
    },

    async nearestOrthogonal(W) {
      const C = Math.sqrt(W.length);
      let current = orthogonalStart(W);
      for (let step = 0; step < ORTHOGONAL_STEPS; step += ORTHOGONAL_STEPS_PER_RUN) {
        const out = await run(orthogonalGraph, { W: matrix(current, C) }, ['next', 'gram']);
        current = out['next']!.data as Float64Array<ArrayBuffer>;
        // Quadratic convergence: what is within 1e-8 before the last step is exact after it.
        if (out['gram']!.data.every((value, i) => Math.abs(Number(value) - (i % (C + 1) === 0 ? 1 : 0)) < 1e-8)) break;
      }
      return current;
    },

    async nmfPass(vectors, shift, codes, rows) {
      const D = shift.length;
      const F = rows.length / D;
      const codesByData = new Float64Array(F * D);
      const codesByCodes = new Float64Array(F * F);
      const products = await run(projectGraph, { x: matrix(rows, F), mean: { data: new Float32Array(D), shape: [D] }, rows: matrix(rows, F) }, ['y']);
      for (const { part, n, first } of chunks(chunkNumbers, vectors, Math.max(D, F), D)) {
        const h = codes.subarray(first * F, (first + n) * F);
        const out = await run(nmfGraph, { x: matrix(part, n), shift: { data: shift, shape: [D] }, h: matrix(h, n), w: matrix(rows, F), ww: products['y']! }, ['next', 'byData', 'byCodes']);
        h.set(out['next']!.data as Float32Array);
        addTo(codesByData, out['byData']!);
        addTo(codesByCodes, out['byCodes']!);
      }
      return { codesByData, codesByCodes };
    },

    async crossProducts(a, centre, b) {
      const A = centre.length;
      const B = (b.length * A) / a.length;
      const products = new Float64Array(A * B);
      for (const { part, n, first } of chunks(chunkNumbers, a, Math.max(A, B), A)) {
        const out = await run(crossGraph, { a: matrix(part, n), centre: { data: centre, shape: [A] }, b: matrix(b.subarray(first * B, (first + n) * B), n) }, ['products']);
        addTo(products, out['products']!);
      }
      return products;
    },

    async close() {
      await Promise.all([...opened.values()].map(async (open) => (await open).close()));
    },
  };
}

/** Pieces of a list of vectors of `width`, cut so that `widest` numbers a vector stay within `numbers`. */
function* chunks(numbers: number, list: Float32Array, widest: number, width = widest): Generator<{ part: Float32Array; n: number; first: number }> {
  const total = list.length / width;
  invariant(Number.isInteger(total), `${list.length} numbers are no whole vectors of ${width}`);
  const step = Math.max(MIN_CHUNK, Math.floor(numbers / widest));
  for (let first = 0; first < total; first += step) {
    const n = Math.min(step, total - first);
    yield { part: list.subarray(first * width, (first + n) * width), n, first };
  }
}

function matrix(data: Float32Array | Float64Array, rows: number): GraphTensor {
  return { data, shape: [rows, data.length / rows] };
}

function addTo(sum: Float64Array, { data }: GraphTensor, sign = 1): void {
  for (let i = 0; i < sum.length; i++) sum[i]! += sign * Number(data[i]);
}

/** A list in memory that worker threads see without a copy. */
export function shared(length: number): Float32Array {
  return new Float32Array(new SharedArrayBuffer(4 * length));
}

/** The k first of both lists [·, C] per column, in the order of `direction`·value. */
function mergeTails(a: Float32Array, b: Float32Array, C: number, k: number, direction: 1 | -1): Float32Array {
  const total = (a.length + b.length) / C;
  const take = Math.min(k, total);
  const out = new Float32Array(take * C);
  const column = new Float64Array(total);
  for (let c = 0; c < C; c++) {
    for (let i = 0; i < total; i++) column[i] = direction * (i * C < a.length ? a[i * C + c]! : b[i * C - a.length + c]!);
    column.sort();
    for (let i = 0; i < take; i++) out[i * C + c] = direction * column[i]!;
  }
  return out;
}
