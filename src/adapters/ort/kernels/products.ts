import { InferenceSession, Tensor } from 'onnxruntime-node';
import { GraphBuilder } from '../../../onnx/graphBuilder.ts';
import { opsOf } from '../../../onnx/ops.ts';
import type { Value } from '../../../onnx/graphBuilder.ts';

/** A matrix in the shared memory: byte address, rows, columns. */
export type Matrix = readonly [address: number, rows: number, columns: number];

/** The dense products of a training step; each writes its result to an address. a·bᵀ is written abT. */
type Kind = 'affine' | 'affineRelu' | 'accumulate' | 'slopes' | 'outer' | 'outerAdd' | 'lessABT';

/**
 * onnxruntime's matrix products on one thread, over matrices in shared memory, without a copy. One session per kind serves
 * all sizes.
 */
export class Products {
  readonly #memory: WebAssembly.Memory;
  readonly #alpha: number;
  readonly #sessions = new Map<Kind, InferenceSession>();

  /** @param alpha 2/(B·dOut), which slopes and gradients of the decoder are multiplied by. */
  constructor(memory: WebAssembly.Memory, alpha: number) {
    this.#memory = memory;
    this.#alpha = alpha;
  }

  /** out [M, N] = x [M, K] · w [N, K]ᵀ + bias [N]. */
  affine(x: Matrix, w: Matrix, bias: number, out: number): Promise<void> {
    return this.#run('affine', x, w, [bias, w[1]], [out, x[1], w[1]]);
  }

  /** relu of `affine`. */
  affineRelu(x: Matrix, w: Matrix, bias: number, out: number): Promise<void> {
    return this.#run('affineRelu', x, w, [bias, w[1]], [out, x[1], w[1]]);
  }

  /** out [M, N] += c [M, K] · w [K, N]. */
  accumulate(c: Matrix, w: Matrix, out: number): Promise<void> {
    return this.#run('accumulate', c, w, [out, c[1], w[2]], [out, c[1], w[2]]);
  }

  /** out [M, N] = alpha · e [M, K] · w [N, K]ᵀ + addend, one number at its address. */
  slopes(e: Matrix, w: Matrix, addend: number, out: number): Promise<void> {
    return this.#run('slopes', e, w, [addend, 1], [out, e[1], w[1]]);
  }

  /** out [K, N] = alpha · a [M, K]ᵀ · b [M, N]. */
  outer(a: Matrix, b: Matrix, out: number): Promise<void> {
    return this.#run('outer', a, b, null, [out, a[2], b[2]]);
  }

  /** out [K, N] = a [M, K]ᵀ · b [M, N], on top of what is there. */
  outerAdd(a: Matrix, b: Matrix, out: number): Promise<void> {
    return this.#run('outerAdd', a, b, [out, a[2], b[2]], [out, a[2], b[2]]);
  }

  /** out [M, N] = y [M, N] − x [M, K] · w [N, K]ᵀ. */
  lessABT(y: number, x: Matrix, w: Matrix, out: number): Promise<void> {
    return this.#run('lessABT', x, w, [y, x[1], w[1]], [out, x[1], w[1]]);
  }

  async close(): Promise<void> {
    for (const session of this.#sessions.values()) await session.release();
  }

  async #run(kind: Kind, a: Matrix, b: Matrix, c: Matrix | readonly [number, number] | null, out: Matrix): Promise<void> {
    let session = this.#sessions.get(kind);
    if (session === undefined) {
      session = await InferenceSession.create(productGraph(kind, this.#alpha), SINGLE_THREAD);
      this.#sessions.set(kind, session);
    }
    const feeds: Record<string, Tensor> = { a: this.#tensor(a), b: this.#tensor(b) };
    if (c !== null) feeds['c'] = this.#tensor(c);
    await session.run(feeds, { y: this.#tensor(out) });
  }

  #tensor([address, ...dims]: Matrix | readonly [number, number]): Tensor {
    return new Tensor('float32', new Float32Array(this.#memory.buffer, address, dims.reduce((product, size) => product * size, 1)), dims);
  }
}

const SINGLE_THREAD: InferenceSession.SessionOptions = {
  executionProviders: ['cpu'],
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  executionMode: 'sequential',
  // Results go to memory of ours; nothing is worth keeping between runs.
  enableCpuMemArena: false,
  extra: { session: { set_denormal_as_zero: '1' } },
};

function productGraph(kind: Kind, alpha: number): Uint8Array<ArrayBuffer> {
  const g = new GraphBuilder(kind);
  const { gemm } = opsOf(g);
  const transA = kind === 'outer' || kind === 'outerAdd';
  const transB = kind === 'affine' || kind === 'affineRelu' || kind === 'slopes' || kind === 'lessABT';
  const a = g.input('a', 'float32', transA ? ['K', 'M'] : ['M', 'K']);
  const b = g.input('b', 'float32', transB ? ['N', 'K'] : ['K', 'N']);
  const c = (): Value => g.input('c', 'float32', kind === 'slopes' ? [1] : kind === 'affine' || kind === 'affineRelu' ? ['N'] : ['M', 'N']);
  const value = ((): Value => {
    switch (kind) {
      case 'affine':
        return gemm(a, b, { transB, c: c() });
      case 'affineRelu':
        return g.node('FusedGemm', [a, b, c()], { transB: 1, activation: 'Relu' }, { domain: 'com.microsoft' });
      case 'accumulate':
        return gemm(a, b, { c: c() });
      case 'slopes':
        return gemm(a, b, { transB, alpha, c: c() });
      case 'outer':
        return gemm(a, b, { transA, alpha });
      case 'outerAdd':
        return gemm(a, b, { transA, c: c() });
      case 'lessABT':
        return gemm(a, b, { transB, alpha: -1, c: c() });
    }
  })();
  g.output(value, 'y', 'float32', ['M', 'N']);
  return g.encode();
}
