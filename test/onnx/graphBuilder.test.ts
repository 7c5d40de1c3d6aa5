import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as ort from 'onnxruntime-node';
import { GraphBuilder } from '../../src/onnx/graphBuilder.ts';
import { opsOf } from '../../src/onnx/ops.ts';

async function run(g: GraphBuilder, feeds: Record<string, ort.Tensor>): Promise<ort.InferenceSession.OnnxValueMapType> {
  const session = await ort.InferenceSession.create(g.encode());
  try {
    return await session.run(feeds);
  } finally {
    await session.release();
  }
}

test('a graph of matrix product, reductions and an Adam-like update computes what arithmetic says', async () => {
  const g = new GraphBuilder('arithmetic');
  const o = opsOf(g);
  const x = g.input('x', 'float32', ['N', 2]);
  const w = g.initializer('w', 'float32', [3, 2], Float32Array.of(1, 2, 3, 4, -5, 6));
  const c = o.relu(o.gemm(x, w, { transB: true }));
  g.output(c, 'c', 'float32', ['N', 3]);
  g.output(o.reduceSum(c, [0], false), 'sum', 'float32', [3]);
  g.output(o.reduceMean(c), 'mean', 'float32');
  g.output(o.div(o.mul(c, 0.5), o.add(o.sqrt(c), 1)), 'update', 'float32', ['N', 3]);
  const out = await run(g, { x: new ort.Tensor('float32', Float32Array.of(1, 1, 2, -1), [2, 2]) });
  // rows: [3, 7, 1], [0, 2, -16 -> 0]
  assert.deepEqual([...(out['c']!.data as Float32Array)], [3, 7, 1, 0, 2, 0]);
  assert.deepEqual([...(out['sum']!.data as Float32Array)], [3, 9, 1]);
  assert.equal((out['mean']!.data as Float32Array)[0], Math.fround(13 / 6));
  assert.ok(Math.abs((out['update']!.data as Float32Array)[1] - 3.5 / (Math.sqrt(7) + 1)) < 1e-6);
});

test('negative integers, int64, int32, bool and float attributes survive encoding', async () => {
  const g = new GraphBuilder('types');
  const o = opsOf(g);
  const ids = g.input('ids', 'int32', ['N']);
  const table = g.initializer('table', 'int64', [3], BigInt64Array.of(-1n, 2n ** 40n, 300n));
  g.output(o.gather(table, ids), 'gathered', 'int64', ['N']);
  const mask = g.initializer('mask', 'bool', [2], Uint8Array.of(1, 0));
  g.output(o.where(mask, 1, -2.5), 'where', 'float32', [2]);
  g.output(g.node('LeakyRelu', [g.float([-4, 4])], { alpha: { float: 1 } }), 'leaky', 'float32', [2]);
  const out = await run(g, { ids: new ort.Tensor('int32', Int32Array.of(1, 0, 2), [3]) });
  assert.deepEqual([...(out['gathered']!.data as BigInt64Array)], [2n ** 40n, -1n, 300n]);
  assert.deepEqual([...(out['where']!.data as Float32Array)], [1, -2.5]);
  assert.deepEqual([...(out['leaky']!.data as Float32Array)], [-4, 4]);
});

test('contrib operators are reachable', async () => {
  const g = new GraphBuilder('contrib');
  const a = g.input('a', 'float32', ['N', 2]);
  const b = g.initializer('b', 'float32', [2, 2], Float32Array.of(1, 2, 3, 4));
  const y = g.node('FusedMatMul', [a, b], { transB: 1, alpha: { float: 2 } }, { domain: 'com.microsoft' });
  g.output(y, 'y', 'float32', ['N', 2]);
  const out = await run(g, { a: new ort.Tensor('float32', Float32Array.of(1, 1), [1, 2]) });
  assert.deepEqual([...(out['y']!.data as Float32Array)], [6, 14]);
});

test('a value may be an output twice, and inputs and initializers may be outputs', async () => {
  const g = new GraphBuilder('outputs');
  const x = g.input('x', 'float32', [2]);
  const y = g.node('Neg', [x]);
  g.output(y, 'once', 'float32', [2]);
  g.output(y, 'twice', 'float32', [2]);
  g.output(x, 'echo', 'float32', [2]);
  g.output(g.node('Abs', [y]), 'after', 'float32', [2]);
  const out = await run(g, { x: new ort.Tensor('float32', Float32Array.of(1, -2), [2]) });
  const list = (name: string) => [...(out[name]!.data as Float32Array)];
  assert.deepEqual([list('once'), list('twice'), list('echo'), list('after')], [[-1, 2], [-1, 2], [1, -2], [1, 2]]);
});

test('misuse is refused where it happens', () => {
  const g = new GraphBuilder('misuse');
  g.input('x', 'float32', [1]);
  assert.throws(() => g.input('x', 'float32', [1]), /taken/);
  assert.throws(() => g.initializer('w', 'float32', [2, 2], new Float32Array(3)), /holds 4 values, data has 3/);
  const other = new GraphBuilder('other').input('y', 'float32', [1]);
  assert.throws(() => g.node('Relu', [other]), /reads unknown "y"/);
});

test('the branches of an If read values of the graph around them, renamed outputs and unused nodes included', async () => {
  const g = new GraphBuilder('branches');
  const o = opsOf(g);
  const x = g.input('x', 'float32', [2]);
  const doubled = o.mul(x, 2); // becomes the output "doubled": the branches must read it by that name
  const onlyInside = o.add(x, 10); // needed by a branch alone
  const positive = o.greater(o.reduceSum(x, [0], false), 0);
  const yes = g.subgraph('yes');
  yes.output(opsOf(yes).add(doubled, onlyInside), 'yes.out', 'float32', [2]);
  const no = g.subgraph('no');
  no.output(doubled, 'no.out', 'float32', [2]);
  const chosen = g.node('If', [positive], { then_branch: yes, else_branch: no });
  g.output(chosen, 'chosen', 'float32', [2]);
  g.output(doubled, 'doubled', 'float32', [2]);
  const list = async (...values: number[]) => [...((await run(g, { x: new ort.Tensor('float32', Float32Array.from(values), [2]) }))['chosen']!.data as Float32Array)];
  assert.deepEqual(await list(1, 2), [13, 16]);
  assert.deepEqual(await list(-1, -2), [-2, -4]);
});
