import { InferenceSession, Tensor } from 'onnxruntime-node';
import { move, transferableSymbol, valueSymbol, workerData } from 'piscina';
import { invariant } from '../../domain/errors.ts';
import type { Point } from '../../lm/point.ts';
import { readLanguageModel } from '../../lm/registry.ts';
import { compileSpan, spanKey } from '../../lm/span.ts';
import type { CompiledSpan, SpanSpec } from '../../lm/span.ts';
import { WEIGHTS_LOCATION } from '../../lm/spanContext.ts';
import { layOutWeights } from '../../lm/weightLayout.ts';
import { operatorsOf } from './device.ts';
import { encode, openEncoder } from './encoder.ts';
import type { EncoderSession } from './encoder.ts';
import type { WorkerResult, WorkerSetup, WorkerTask } from './messages.ts';
import { narrow, type Narrowing } from './narrow.ts';
import { SessionCache } from './sessionCache.ts';
import { sessionOptions } from './sessions.ts';
import { feedsOf } from './spanFeeds.ts';

/** Runs in a worker thread of the pool, one task at a time. Sessions are compiled on first use and kept. */

const setup = workerData as WorkerSetup;
const model = readLanguageModel(setup.config);
const layout = layOutWeights(model);

interface SpanSession extends CompiledSpan {
  readonly session: InferenceSession;
}

/** Weights held by sessions of each kind, per worker. */
const BUDGET_BYTES = 1.5e9;
const spans = new SessionCache<SpanSession>(BUDGET_BYTES);
const encoders = new SessionCache<EncoderSession>(BUDGET_BYTES);

async function openSpan(spec: SpanSpec): Promise<SpanSession> {
  const compiled = compileSpan(model, layout, spec, operatorsOf(setup.device));
  const data = new Uint8Array(setup.weights);
  const options = sessionOptions(setup.device, setup.threads, [{ path: WEIGHTS_LOCATION, data }]);
  return { ...compiled, session: await InferenceSession.create(compiled.bytes, options) };
}

/**
 * Tokens of one session run on a CPU. Larger batches run in pieces of whole rows: what a layer makes of 512 tokens fits a
 * core's cache, and elementwise operators cost what their memory traffic costs.
 */
const PIECE_TOKENS = 512;

/** All outputs of a span for the rows of a task, by name. */
async function runSpan({ session, inputs, outputs }: SpanSession, task: WorkerTask, narrowing: Narrowing | null): Promise<ReadonlyMap<string, Float32Array>> {
  const { rows, cols, spec } = task;
  const isLate = (name: string): boolean => narrowing !== null && name !== 'logits' && narrowing.isLate(name.slice(name.indexOf(':') + 1) as Point);
  /** With narrowed outputs back in their places. */
  const placed = (name: string, data: Float32Array): readonly [string, Float32Array] => [name, narrowing !== null && isLate(name) ? narrowing.put(data, model.dModel, cols, rows) : data];
  const pieceRows = setup.device === 'cpu' ? Math.max(1, Math.floor((narrowing?.pieceTokens ?? PIECE_TOKENS) / cols)) : rows;
  if (pieceRows >= rows) {
    const whole = await session.run(feedsOf(task, inputs, narrowing, model, 0, rows));
    return new Map(outputs.map((name) => placed(name, whole[name].data as Float32Array)));
  }
  /** Of an output, without its rows. */
  const shapeOf = (name: string): number[] => {
    if (name !== 'logits') return [isLate(name) ? narrowing!.width : cols, model.dModel];
    return spec.logits === 'last' ? [model.vocabSize] : [cols, model.vocabSize];
  };
  const widthOf = (name: string): number => shapeOf(name).reduce((product, size) => product * size, 1);
  const all = new Map(outputs.map((name) => [name, new Float32Array(rows * widthOf(name))]));
  for (let first = 0; first < rows; first += pieceRows) {
    const count = Math.min(pieceRows, rows - first);
    const into: Record<string, Tensor> = {};
    for (const [name, data] of all) {
      const width = widthOf(name);
      into[name] = new Tensor('float32', data.subarray(first * width, (first + count) * width), [count, ...shapeOf(name)]);
    }
    await session.run(feedsOf(task, inputs, narrowing, model, first, count), into);
  }
  return new Map([...all].map(([name, data]) => placed(name, data)));
}

export default async function runTask(task: WorkerTask): Promise<WorkerResult> {
  const narrowing = operatorsOf(setup.device) === 'cpu' ? narrow(task, model.layers) : null;
  const spec = narrowing === null ? task.spec : { ...task.spec, narrow: true };
  const span = await spans.get(spanKey(spec), () => openSpan(spec));
  const outputs = await runSpan(span, task, narrowing);
  const output = (name: string): Float32Array => {
    const data = outputs.get(name);
    invariant(data !== undefined, `the span has no output ${name}`);
    return data;
  };
  const tapped = (at: Point): Float32Array => output(`tap:${at}`);

  const codes = [];
  for (const { at, encoder } of task.encode) {
    const session = await encoders.get(encoder.key, () => openEncoder(encoder, setup.device, setup.threads));
    codes.push(await encode(session, encoder, tapped(at), task.lengths, task.cols));
  }
  const result: WorkerResult = {
    taps: task.keep.map((at) => [at, tapped(at)] as const),
    logits: task.spec.logits === 'none' ? null : (outputs.get('logits') ?? null),
    gradients: (task.spec.gradient?.wrt ?? []).map((at) => [at, output(`grad:${at}`)] as const),
    codes,
  };
  return movable(result);
}

/** Hands the arrays over instead of copying them; the pool unwraps it, so that the caller sees the result itself. */
function movable(result: WorkerResult): WorkerResult {
  const arrays = [
    ...[...result.taps, ...result.gradients].map(([, data]) => data),
    ...result.codes.flatMap(({ offsets, features, values }) => [offsets, features, values]),
    ...(result.logits === null ? [] : [result.logits]),
  ];
  const wrapped = { [transferableSymbol]: arrays.map((array) => array.buffer), [valueSymbol]: result };
  return move(wrapped) as unknown as WorkerResult;
}
