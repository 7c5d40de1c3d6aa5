import { InferenceSession, Tensor } from 'onnxruntime-node';
import { move, transferableSymbol, valueSymbol, workerData } from 'piscina';
import type { GraphTensor } from '../../ports/GraphRunner.ts';
import type { GraphAnswer, GraphTask } from './graphRunner.ts';
import { sessionOptions } from './sessions.ts';

/** Thread that keeps the sessions of the graphs it ran; a request for no outputs closes one. */

const { threads } = workerData as { threads: number };
const sessions = new Map<number, InferenceSession>();

export default async function runGraph({ graph, bytes, inputs, outputs }: GraphTask): Promise<GraphAnswer> {
  let session = sessions.get(graph);
  if (outputs.length === 0) {
    sessions.delete(graph);
    await session?.release();
    return {};
  }
  if (session === undefined) {
    session = await InferenceSession.create(Uint8Array.from(bytes), sessionOptions('cpu', threads));
    sessions.set(graph, session);
  }
  const feeds = Object.fromEntries(Object.entries(inputs).map(([name, { data, shape }]) => [name, tensorOf(data, shape)]));
  const found = await session.run(feeds, outputs);
  const answer = Object.fromEntries(outputs.map((name) => [name, { data: found[name]!.data as GraphTensor['data'], shape: found[name]!.dims }]));
  // Handed over instead of copied; the pool unwraps it.
  const wrapped = { [transferableSymbol]: Object.values(answer).map(({ data }) => data.buffer), [valueSymbol]: answer };
  return move(wrapped) as unknown as GraphAnswer;
}

function tensorOf(data: GraphTensor['data'], shape: readonly number[]): Tensor {
  if (data instanceof Float32Array) return new Tensor('float32', data, shape);
  return data instanceof Float64Array ? new Tensor('float64', data, shape) : new Tensor('int64', data, shape);
}
