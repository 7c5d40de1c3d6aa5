import { InferenceSession, Tensor } from 'onnxruntime-node';
import { move, transferableSymbol, valueSymbol } from 'piscina';
import { GraphBuilder } from '../../onnx/graphBuilder.ts';
import { opsOf } from '../../onnx/ops.ts';
import type { ProductTask } from './rowProducts.ts';
import { sessionOptions } from './sessions.ts';

/** Thread that multiplies matrices, one product at a time. */

let session: Promise<InferenceSession> | undefined;

function graph(): Uint8Array {
  const g = new GraphBuilder('row-products');
  const a = g.input('a', 'float32', ['N', 'D']);
  const b = g.input('b', 'float32', ['M', 'D']);
  g.output(opsOf(g).gemm(a, b, { transB: true }), 'products', 'float32', ['N', 'M']);
  return g.encode();
}

export default async function multiply({ a, b, width }: ProductTask): Promise<Float32Array> {
  session ??= InferenceSession.create(graph(), sessionOptions('cpu', 1));
  const { products } = await (await session).run({ a: new Tensor('float32', a, [a.length / width, width]), b: new Tensor('float32', b, [b.length / width, width]) });
  const data = products!.data as Float32Array;
  return move({ [transferableSymbol]: data.buffer, [valueSymbol]: data }) as unknown as Float32Array;
}
