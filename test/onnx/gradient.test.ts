import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as ort from 'onnxruntime-node';
import { Rng } from '../../src/math/rng.ts';
import { gradients } from '../../src/onnx/gradient.ts';
import { GraphBuilder } from '../../src/onnx/graphBuilder.ts';
import type { Value } from '../../src/onnx/graphBuilder.ts';
import { opsOf } from '../../src/onnx/ops.ts';
import type { Ops } from '../../src/onnx/ops.ts';

const CONTRIB = { domain: 'com.microsoft' } as const;

interface Case {
  readonly shapes: readonly (readonly number[])[];
  /** The first dimension of each input is `B` where this is set. */
  readonly named?: boolean;
  readonly positive?: boolean;
  readonly make: (g: GraphBuilder, ops: Ops, ...inputs: Value[]) => Value;
}

/** One graph per rule, and per way a rule can go. */
const CASES: Readonly<Record<string, Case>> = {
  'Add, both broadcast': { shapes: [[3, 1, 4], [2, 4]], make: (_g, o, a, b) => o.add(a, b) },
  'Sub of a scalar': { shapes: [[2, 3], []], make: (_g, o, a, b) => o.sub(a, b) },
  'Mul of a value by itself': { shapes: [[2, 3]], make: (_g, o, a) => o.mul(a, a) },
  'Mul, broadcast': { shapes: [[2, 3, 4], [3, 1]], make: (_g, o, a, b) => o.mul(a, b) },
  'Div, broadcast': { shapes: [[2, 3], [3]], positive: true, make: (_g, o, a, b) => o.div(a, b) },
  'Pow': { shapes: [[2, 3]], positive: true, make: (_g, o, a) => o.pow(a, 2.5) },
  'Where': { shapes: [[2, 3], [3]], make: (g, o, a, b) => o.where(g.initializer('mask', 'bool', [2, 3], Uint8Array.of(1, 0, 1, 0, 0, 1)), a, b) },
  'Neg': { shapes: [[5]], make: (_g, o, a) => o.neg(a) },
  'Identity': { shapes: [[5]], make: (_g, o, a) => o.identity(a) },
  'Sqrt': { shapes: [[5]], positive: true, make: (_g, o, a) => o.sqrt(a) },
  'Exp': { shapes: [[5]], make: (_g, o, a) => o.exp(a) },
  'Log': { shapes: [[5]], positive: true, make: (_g, o, a) => o.log(a) },
  'Tanh': { shapes: [[5]], make: (_g, o, a) => o.tanh(a) },
  'Sigmoid': { shapes: [[5]], make: (_g, o, a) => o.sigmoid(a) },
  'Erf': { shapes: [[5]], make: (_g, o, a) => o.erf(a) },
  'Relu': { shapes: [[9]], make: (_g, o, a) => o.relu(a) },
  'Gelu, exact': { shapes: [[9]], make: (g, _o, a) => g.node('Gelu', [a], { approximate: 'none' }) },
  'Gelu, tanh': { shapes: [[9]], make: (g, _o, a) => g.node('Gelu', [a], { approximate: 'tanh' }) },
  'QuickGelu': { shapes: [[9]], make: (g, _o, a) => g.node('QuickGelu', [a], { alpha: { float: 1.702 } }, CONTRIB) },
  'QuickGelu with alpha 1': { shapes: [[9]], make: (g, _o, a) => g.node('QuickGelu', [a], { alpha: { float: 1 } }, CONTRIB) },
  'Softmax': { shapes: [[3, 4]], make: (_g, o, a) => o.softmax(a) },
  'Softmax along another axis, masked': { shapes: [[3, 4]], make: (g, o, a) => o.softmax(o.where(g.initializer('mask', 'bool', [3, 1], Uint8Array.of(1, 0, 1)), a, -Infinity), 0) },
  'MatMul': { shapes: [[2, 3], [3, 4]], make: (_g, o, a, b) => o.matMul(a, b) },
  'MatMul, batches broadcast both ways': { shapes: [[2, 1, 3, 4], [5, 4, 2]], make: (_g, o, a, b) => o.matMul(a, b) },
  'FusedMatMul, second turned': { shapes: [[2, 3, 4], [5, 4]], make: (g, _o, a, b) => g.node('FusedMatMul', [a, b], { transB: 1, alpha: { float: 0.7 } }, CONTRIB) },
  'FusedMatMul, both turned': { shapes: [[2, 4, 3], [2, 5, 4]], make: (g, _o, a, b) => g.node('FusedMatMul', [a, b], { transA: 1, transB: 1 }, CONTRIB) },
  'Gemm': { shapes: [[2, 3], [4, 3], [4]], make: (_g, o, a, b, c) => o.gemm(a, b, { transB: true, alpha: 0.5, beta: 2, c }) },
  'Gemm, first turned': { shapes: [[3, 2], [3, 4]], make: (_g, o, a, b) => o.gemm(a, b, { transA: true }) },
  'Transpose': { shapes: [[2, 3, 4]], make: (_g, o, a) => o.transpose(a, [2, 0, 1]) },
  'Reshape of a named dimension': { shapes: [[2, 3, 4]], named: true, make: (_g, o, a) => o.add(o.reshape(a, [-1, 12]), o.reshape(a, [0, 12])) },
  'Unsqueeze and Squeeze': { shapes: [[2, 3]], make: (_g, o, a) => o.mul(o.squeeze(o.unsqueeze(a, [0, -1]), [0]), 2) },
  'Split, one part unused': { shapes: [[2, 6]], make: (_g, o, a) => ((parts) => o.mul(parts[0], parts[2]))(o.split(a, [2, 2, 2], -1)) },
  'Concat': { shapes: [[2, 1, 3], [2, 2, 3]], named: true, make: (_g, o, a, b) => o.concat([a, b], 1) },
  'Gather of rows, one twice': { shapes: [[4, 3]], make: (g, o, a) => o.gather(a, g.int([2, 0, 2])) },
  'ReduceSum': { shapes: [[2, 3, 4]], named: true, make: (_g, o, a) => o.mul(o.reduceSum(a, [1]), a) },
  'ReduceSum of everything': { shapes: [[2, 3]], make: (_g, o, a) => o.reduceSum(a, undefined, false) },
  'ReduceMean, axes dropped': { shapes: [[2, 3, 4]], named: true, make: (_g, o, a) => o.reduceMean(a, [0, -1], false) },
  'LayerNormalization': {
    shapes: [[2, 3, 5]], named: true,
    make: (g, _o, a) => g.node('LayerNormalization', [a, g.float([0.5, 2, 0, -1, 1]), g.float([1, 2, 3, 4, 5])], { axis: -1, epsilon: { float: 1e-3 } }),
  },
  'SimplifiedLayerNormalization': {
    shapes: [[2, 3, 5]], named: true,
    make: (g, _o, a) => g.node('SimplifiedLayerNormalization', [a, g.float([0.5, 2, 0, -1, 1])], { axis: -1, epsilon: { float: 1e-3 } }),
  },
};

type Run = (feeds: readonly Float32Array[]) => Promise<ort.InferenceSession.OnnxValueMapType>;

/** A case as a session; with a cotangent also its gradients `d0`, `d1`, …. */
async function open({ shapes, named, make }: Case, cotangent?: ort.Tensor): Promise<{ run: Run; close: () => Promise<void> }> {
  const g = new GraphBuilder('case');
  const inputs = shapes.map((shape, i) => g.input(`x${i}`, 'float32', named === true ? ['B', ...shape.slice(1)] : shape));
  const y = make(g, opsOf(g), ...inputs);
  if (cotangent !== undefined) {
    const seed = g.initializer('cotangent', 'float32', cotangent.dims, cotangent.data as Float32Array);
    gradients(g, y, seed, inputs).forEach((gradient, i) => g.output(gradient, `d${i}`, 'float32'));
  }
  g.output(y, 'y', 'float32');
  const session = await ort.InferenceSession.create(g.encode());
  return {
    run: (feeds) => session.run(Object.fromEntries(feeds.map((data, i) => [`x${i}`, new ort.Tensor('float32', data, shapes[i])]))),
    close: () => session.release(),
  };
}

for (const [name, one] of Object.entries(CASES)) {
  test(`${name}: gradients as differences say`, async () => {
    const rng = Rng.derive(1, name);
    const data = one.shapes.map((shape) => {
      const length = shape.reduce((product, size) => product * size, 1);
      return Float32Array.from({ length }, () => (one.positive === true ? 0.5 + rng.next() : rng.normal()));
    });
    const forward = await open(one);
    const { y } = await forward.run(data);
    const cotangent = Float32Array.from({ length: y!.data.length }, () => rng.normal());
    const both = await open(one, new ort.Tensor('float32', cotangent, y!.dims));
    const found = await both.run(data);
    const objective = async (i: number, at: number, step: number): Promise<number> => {
      const moved = data.with(i, data[i]!.with(at, data[i]![at]! + step));
      const values = (await forward.run(moved))['y']!.data as Float32Array;
      return values.reduce((sum, value, e) => sum + value * cotangent[e]!, 0);
    };
    for (const [i, input] of data.entries()) {
      const gradient = found[`d${i}`]!;
      assert.deepEqual(gradient.dims, one.shapes[i]);
      for (const at of input.keys()) {
        const step = 0.01;
        const difference = ((await objective(i, at, step)) - (await objective(i, at, -step))) / (2 * step);
        const value = (gradient.data as Float32Array)[at]!;
        assert.ok(Math.abs(value - difference) < 2e-3 * (1 + Math.abs(difference)), `input ${i} [${at}]: ${value}, by differences ${difference}`);
      }
    }
    await forward.close();
    await both.close();
  });
}

test('an earlier value gets the way through a later one, and a value that does not matter gets zeros', async () => {
  const g = new GraphBuilder('chain');
  const o = opsOf(g);
  const x = g.input('x', 'float32', [2]);
  const square = o.mul(x, x);
  const cube = o.mul(square, x);
  const [dx, dSquare, dAside] = gradients(g, cube, g.float([1, 1]), [x, square, o.exp(x)]);
  g.output(dx!, 'dx', 'float32');
  g.output(dSquare!, 'dSquare', 'float32');
  g.output(dAside!, 'dAside', 'float32');
  const session = await ort.InferenceSession.create(g.encode());
  const out = await session.run({ x: new ort.Tensor('float32', Float32Array.of(2, -3), [2]) });
  assert.deepEqual([...(out['dx']!.data as Float32Array)], [12, 27]);
  assert.deepEqual([...(out['dSquare']!.data as Float32Array)], [2, -3]);
  assert.deepEqual([...(out['dAside']!.data as Float32Array)], [0, 0]);
  await session.release();
});

test('an operator without a rule is named where it lies on the way, and only there', () => {
  const g = new GraphBuilder('odd');
  const o = opsOf(g);
  const x = g.input('x', 'float32', [2]);
  assert.throws(() => gradients(g, o.abs(x), g.float([1, 1]), [x]), /no gradient rule for Abs/);
  const y = g.input('y', 'float32', [2]);
  assert.equal(gradients(g, o.mul(x, o.abs(y)), g.float([1, 1]), [x]).length, 1);
});
