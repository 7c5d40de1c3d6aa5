import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openGraphRunner } from '../../../src/adapters/ort/graphRunner.ts';
import { OutsideError } from '../../../src/domain/errors.ts';
import { GraphBuilder } from '../../../src/onnx/graphBuilder.ts';

/** double = 2·x in float64, and the k largest of x. */
function graph(): Uint8Array<ArrayBuffer> {
  const g = new GraphBuilder('test');
  const x = g.input('x', 'float64', ['N']);
  g.output(g.node('Add', [x, x]), 'double', 'float64', ['N']);
  const [values] = g.nodeWithOutputs('TopK', [x, g.input('k', 'int64', [1])], 2, { axis: 0 });
  g.output(values!, 'top', 'float64', ['K']);
  return g.encode();
}

test('several graphs, float64 and int64, inputs kept; closing one leaves the others; failures are outside ones', async () => {
  const runner = openGraphRunner({ threads: 1 });
  try {
    const [a, b] = [await runner.open(graph()), await runner.open(graph())];
    const x = Float64Array.of(1 + 2 ** -50, 3, 2);
    const inputs = { x: { data: x, shape: [3] }, k: { data: BigInt64Array.of(2n), shape: [1] } };
    const [first, second] = await Promise.all([a.run(inputs, ['double', 'top']), b.run(inputs, ['top'])]);
    assert.deepEqual(first['double']!.data, Float64Array.of(2 + 2 ** -49, 6, 4));
    assert.deepEqual(first['top'], { data: Float64Array.of(3, 2), shape: [2] });
    assert.deepEqual(Object.keys(second), ['top']);
    assert.deepEqual(x, Float64Array.of(1 + 2 ** -50, 3, 2));

    const inSharedMemory = new Float64Array(new SharedArrayBuffer(16));
    inSharedMemory.set([5, 7]);
    await a.close();
    assert.deepEqual((await b.run({ ...inputs, x: { data: inSharedMemory, shape: [2] } }, ['double']))['double']!.data, Float64Array.of(10, 14));

    await assert.rejects(b.run({ x: inputs.x }, ['top']), OutsideError);
    await assert.rejects((await runner.open(new Uint8Array([1, 2, 3]))).run(inputs, ['top']), OutsideError);
    assert.deepEqual((await b.run(inputs, ['double']))['double']!.shape, [3]);
  } finally {
    await runner.close();
  }
  await assert.rejects(runner.open(graph()).then((open) => open.run({}, ['top'])), OutsideError);
});
