import { InferenceSession, Tensor } from 'onnxruntime-node';
import { move, transferableSymbol, valueSymbol, workerData } from 'piscina';
import { readGraph } from '../../dictionary/readGraph.ts';
import type { ReaderResult, ReaderSetup, ReaderTask } from './dictionaryReader.ts';
import { sessionOptions } from './sessions.ts';
import { CodeCollector } from './sparsify.ts';

/** Thread that reads chunks of vectors with one dictionary, one chunk at a time. */

const { shape, inputs, inputScale, outputScale, device, threads } = workerData as ReaderSetup;
const { dIn, dOut, nFeatures } = shape;
const fixed = Object.fromEntries(inputs.map(([name, data, dims]) => [name, new Tensor('float32', data, dims)]));
let session: Promise<InferenceSession> | undefined;

export default async function readChunk({ rows, vectors, targets, wants }: ReaderTask): Promise<ReaderResult> {
  session ??= InferenceSession.create(readGraph(shape), sessionOptions(device, threads));
  divide(vectors, inputScale);
  const feeds: Record<string, Tensor> = { ...fixed, x: new Tensor('float32', vectors, [rows, dIn]) };
  if (targets !== null) {
    divide(targets, outputScale);
    feeds['y'] = new Tensor('float32', targets, [rows, dOut]);
  }
  const names = ['squaredError', 'firings'];
  if (wants.reconstruction === true) names.push('reconstruction');
  if (wants.codes === true) names.push('codes');
  const out = await (await session).run(feeds, names);
  const list = (name: string): Float32Array => out[name]!.data as Float32Array;
  let squaredError = 0;
  for (const error of list('squaredError')) squaredError += error;
  let reconstruction: Float32Array | null = null;
  if (wants.reconstruction === true) {
    reconstruction = list('reconstruction');
    if (outputScale !== 1) for (let i = 0; i < reconstruction.length; i++) reconstruction[i] = reconstruction[i]! * outputScale;
  }
  return movable({ squaredError, firings: list('firings'), reconstruction, codes: wants.codes === true ? sparse(rows, list('codes')) : null });
}

function divide(list: Float32Array, scale: number): void {
  if (scale !== 1) for (let i = 0; i < list.length; i++) list[i] = list[i]! / scale;
}

/** Thresholds and k are in the graph already: what is left above 0 counts. */
function sparse(rows: number, dense: Float32Array): NonNullable<ReaderResult['codes']> {
  const collector = new CodeCollector(rows, { nFeatures, threshold: null, k: null });
  for (let row = 0; row < rows; row++) collector.add(row, dense, row * nFeatures);
  return collector.finish();
}

/** Hands the arrays over instead of copying them; the pool unwraps it, so that the caller sees the result itself. */
function movable(result: ReaderResult): ReaderResult {
  const { firings, reconstruction, codes } = result;
  const arrays = [firings, ...(reconstruction === null ? [] : [reconstruction]), ...(codes === null ? [] : [codes.offsets, codes.features, codes.values])];
  const wrapped = { [transferableSymbol]: arrays.map((array) => array.buffer), [valueSymbol]: result };
  return move(wrapped) as unknown as ReaderResult;
}
