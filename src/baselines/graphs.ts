import { GraphBuilder } from '../onnx/graphBuilder.ts';
import { opsOf } from '../onnx/ops.ts';
import { NMF_FLOOR } from './kernels.ts';

/** The kernels as ONNX graphs over chunks of vectors; sizes are read from the inputs. Names as in kernels.ts. */

/** `x` [N, D], `origin` [D] float64 → `sums` [D], `products` [D, D], float64. */
export function momentsGraph(): Uint8Array<ArrayBuffer> {
  const g = new GraphBuilder('baseline-moments');
  const { cast, sub, gemm, reduceSum } = opsOf(g);
  const centred = sub(cast(g.input('x', 'float32', ['N', 'D']), 'float64'), g.input('origin', 'float64', ['D']));
  g.output(reduceSum(centred, [0], false), 'sums', 'float64', ['D']);
  g.output(gemm(centred, centred, { transA: true }), 'products', 'float64', ['D', 'D']);
  return g.encode();
}

/** `x` [N, D], `mean` [D], `rows` [R, D] → `y` [N, R]. */
export function projectGraph(): Uint8Array<ArrayBuffer> {
  const g = new GraphBuilder('baseline-project');
  const { sub, gemm } = opsOf(g);
  const centred = sub(g.input('x', 'float32', ['N', 'D']), g.input('mean', 'float32', ['D']));
  g.output(gemm(centred, g.input('rows', 'float32', ['R', 'D']), { transB: true }), 'y', 'float32', ['N', 'R']);
  return g.encode();
}

/** `z` [N, C], `W` [C, C] → `products` [C, C], `squares` [C] = Σ tanh². */
export function icaGraph(): Uint8Array<ArrayBuffer> {
  const g = new GraphBuilder('baseline-ica');
  const { gemm, tanh, reduceSumSquare } = opsOf(g);
  const z = g.input('z', 'float32', ['N', 'C']);
  const t = tanh(gemm(z, g.input('W', 'float32', ['C', 'C']), { transB: true }));
  g.output(gemm(t, z, { transA: true }), 'products', 'float32', ['C', 'C']);
  g.output(reduceSumSquare(t, [0], false), 'squares', 'float32', ['C']);
  return g.encode();
}

/** `z` [N, C], `W` [C, C], `k` [1] int64 → `high`, `low` [k, C]. */
export function tailsGraph(): Uint8Array<ArrayBuffer> {
  const g = new GraphBuilder('baseline-tails');
  const { gemm } = opsOf(g);
  const y = gemm(g.input('z', 'float32', ['N', 'C']), g.input('W', 'float32', ['C', 'C']), { transB: true });
  const k = g.input('k', 'int64', [1]);
  for (const [name, largest] of [['high', 1], ['low', 0]] as const) {
    const [values] = g.nodeWithOutputs('TopK', [y, k], 2, { axis: 0, largest, sorted: 1 });
    g.output(values!, name, 'float32', ['K', 'C']);
  }
  return g.encode();
}

/** Steps of the iteration in one run of orthogonalGraph. */
export const ORTHOGONAL_STEPS_PER_RUN = 6;

/** `W` [C, C] float64 → `next` [C, C] after ORTHOGONAL_STEPS_PER_RUN steps of orthogonal.ts, `gram` = W·Wᵀ before the last. */
export function orthogonalGraph(): Uint8Array<ArrayBuffer> {
  const g = new GraphBuilder('baseline-orthogonal');
  const { gemm } = opsOf(g);
  let W = g.input('W', 'float64', ['C', 'C']);
  for (let step = 1; step <= ORTHOGONAL_STEPS_PER_RUN; step++) {
    const gram = gemm(W, W, { transB: true });
    if (step === ORTHOGONAL_STEPS_PER_RUN) g.output(gram, 'gram', 'float64', ['C', 'C']);
    W = gemm(gram, W, { alpha: -0.5, beta: 1.5, c: W });
  }
  g.output(W, 'next', 'float64', ['C', 'C']);
  return g.encode();
}

/** `x` [N, D], `shift` [D], `h` [N, F], `w` [F, D], `ww` [F, F] = w·wᵀ → `next` [N, F], `byData` [F, D], `byCodes` [F, F]. */
export function nmfGraph(): Uint8Array<ArrayBuffer> {
  const g = new GraphBuilder('baseline-nmf');
  const { sub, relu, gemm, mul, div, max } = opsOf(g);
  const x = relu(sub(g.input('x', 'float32', ['N', 'D']), g.input('shift', 'float32', ['D'])));
  const h = g.input('h', 'float32', ['N', 'F']);
  const numerator = gemm(x, g.input('w', 'float32', ['F', 'D']), { transB: true });
  const denominator = max(gemm(h, g.input('ww', 'float32', ['F', 'F'])), NMF_FLOOR);
  const next = div(mul(h, numerator), denominator);
  g.output(gemm(next, x, { transA: true }), 'byData', 'float32', ['F', 'D']);
  g.output(gemm(next, next, { transA: true }), 'byCodes', 'float32', ['F', 'F']);
  g.output(next, 'next', 'float32', ['N', 'F']);
  return g.encode();
}

/** `a` [N, A], `centre` [A], `b` [N, B] → `products` [A, B]. */
export function crossGraph(): Uint8Array<ArrayBuffer> {
  const g = new GraphBuilder('baseline-cross');
  const { sub, gemm } = opsOf(g);
  const a = sub(g.input('a', 'float32', ['N', 'A']), g.input('centre', 'float32', ['A']));
  g.output(gemm(a, g.input('b', 'float32', ['N', 'B']), { transA: true }), 'products', 'float32', ['A', 'B']);
  return g.encode();
}
