import { NONE } from './graphBuilder.ts';
import type { GraphBuilder, Value } from './graphBuilder.ts';

/**
 * Short spellings of the standard operators a trainer or a model needs, bound to one graph:
 *
 *     const { add, matMul, relu } = opsOf(g);
 *
 * Binary ones broadcast as numpy does and take a number for either side. Reductions take axes and keep reduced
 * dimensions (size 1) unless `keep` is false; no axes means all of them.
 */
export function opsOf(g: GraphBuilder) {
  const value = (x: Value | number): Value => (typeof x === 'number' ? g.float(x) : x);
  const binary = (op: string) => (a: Value | number, b: Value | number) => g.node(op, [value(a), value(b)]);
  const unary = (op: string) => (x: Value) => g.node(op, [x]);
  const reduction =
    (op: string) =>
    (x: Value, axes?: readonly number[], keep = true) =>
      g.node(op, axes === undefined ? [x] : [x, g.int(axes)], { keepdims: keep ? 1 : 0 });
  return {
    add: binary('Add'),
    sub: binary('Sub'),
    mul: binary('Mul'),
    div: binary('Div'),
    max: binary('Max'),
    min: binary('Min'),
    pow: binary('Pow'),
    greater: binary('Greater'),
    less: binary('Less'),
    equal: binary('Equal'),
    neg: unary('Neg'),
    abs: unary('Abs'),
    sign: unary('Sign'),
    /** 1 where x > 0 (from 1e-38 on), 0 where x is 0, for x ≥ 0: one vectorised pass, where Sign takes ten times as long on a CPU. */
    isPositive: (x: Value) => g.node('HardSigmoid', [x], { alpha: { float: 1e38 }, beta: { float: 0 } }),
    sqrt: unary('Sqrt'),
    exp: unary('Exp'),
    log: unary('Log'),
    relu: unary('Relu'),
    erf: unary('Erf'),
    tanh: unary('Tanh'),
    sigmoid: unary('Sigmoid'),
    not: unary('Not'),
    reduceSum: reduction('ReduceSum'),
    reduceMean: reduction('ReduceMean'),
    reduceMax: reduction('ReduceMax'),
    reduceMin: reduction('ReduceMin'),
    reduceSumSquare: reduction('ReduceSumSquare'),
    reduceL2: reduction('ReduceL2'),
    matMul: (a: Value, b: Value) => g.node('MatMul', [a, b]),
    /** alpha·op(a)·op(b) (+ c), op = transpose where asked; rank-2 only. The fast way to a·bᵀ. */
    gemm: (
      a: Value,
      b: Value,
      options: { transA?: boolean; transB?: boolean; alpha?: number; beta?: number; c?: Value } = {},
    ) =>
      g.node('Gemm', options.c === undefined ? [a, b] : [a, b, options.c], {
        transA: options.transA === true ? 1 : 0,
        transB: options.transB === true ? 1 : 0,
        alpha: { float: options.alpha ?? 1 },
        beta: { float: options.beta ?? 1 },
      }),
    transpose: (x: Value, perm: readonly number[]) => g.node('Transpose', [x], { perm: { ints: perm } }),
    /** 0 keeps a dimension, -1 infers one. */
    reshape: (x: Value, shape: readonly number[]) => g.node('Reshape', [x, g.int(shape)]),
    unsqueeze: (x: Value, axes: readonly number[]) => g.node('Unsqueeze', [x, g.int(axes)]),
    squeeze: (x: Value, axes: readonly number[]) => g.node('Squeeze', [x, g.int(axes)]),
    concat: (list: readonly Value[], axis: number) => g.node('Concat', list, { axis }),
    /** Splits `axis` into pieces of the given sizes. */
    split: (x: Value, sizes: readonly number[], axis: number) =>
      g.nodeWithOutputs('Split', [x, g.int(sizes)], sizes.length, { axis }),
    gather: (data: Value, indices: Value, axis = 0) => g.node('Gather', [data, indices], { axis }),
    where: (condition: Value, a: Value | number, b: Value | number) => g.node('Where', [condition, value(a), value(b)]),
    clip: (x: Value, low?: number, high?: number) =>
      g.node('Clip', [x, low === undefined ? NONE : g.float(low), high === undefined ? NONE : g.float(high)]),
    cast: (x: Value, to: 'float32' | 'float64' | 'int64' | 'int32' | 'bool') =>
      g.node('Cast', [x], { to: { float32: 1, int32: 6, int64: 7, bool: 9, float64: 11 }[to] }),
    shape: (x: Value) => g.node('Shape', [x]),
    softmax: (x: Value, axis = -1) => g.node('Softmax', [x], { axis }),
    identity: unary('Identity'),
  };
}

/** The operators of `opsOf`. */
export type Ops = ReturnType<typeof opsOf>;
