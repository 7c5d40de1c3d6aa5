import { InferenceSession, Tensor } from 'onnxruntime-node';
import { move, transferableSymbol, valueSymbol, workerData } from 'piscina';
import { invariant } from '../../domain/errors.ts';
import type { Point } from '../../lm/point.ts';
import { readLanguageModel } from '../../lm/registry.ts';
import { compileSpan, spanKey } from '../../lm/span.ts';
import type { CompiledSpan } from '../../lm/span.ts';
import { WEIGHTS_LOCATION } from '../../lm/spanContext.ts';
import { layOutWeights } from '../../lm/weightLayout.ts';
import { operatorsOf } from './device.ts';
import { encode, openEncoder } from './encoder.ts';
import type { EncoderSession } from './encoder.ts';
import type { WorkerResult, WorkerSetup, WorkerTask } from './messages.ts';
import { SessionCache } from './sessionCache.ts';
import { sessionOptions } from './sessions.ts';

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

async function openSpan(task: WorkerTask): Promise<SpanSession> {
  const compiled = compileSpan(model, layout, task.spec, operatorsOf(setup.device));
  const data = new Uint8Array(setup.weights);
  const options = sessionOptions(setup.device, setup.threads, [{ path: WEIGHTS_LOCATION, data }]);
  return { ...compiled, session: await InferenceSession.create(compiled.bytes, options) };
}

/**
 * Tokens of one session run on a CPU. Larger batches run in pieces of whole rows: what a layer makes of 512 tokens fits a
 * core's cache, and elementwise operators cost what their memory traffic costs.
 */
const PIECE_TOKENS = 512;

/** Inputs for rows [first, first + rows) of a task. */
function feedsOf(task: WorkerTask, inputs: readonly string[], first: number, rows: number): Record<string, Tensor> {
  const { cols } = task;
  const deltas = new Map<string, Float32Array>(task.deltas);
  const stream = (data: Float32Array | null | undefined): Tensor => {
    invariant(data !== null && data !== undefined, 'a span reads an input the task has not');
    const width = cols * model.dModel;
    return new Tensor('float32', data.subarray(first * width, (first + rows) * width), [rows, cols, model.dModel]);
  };
  const feeds: Record<string, Tensor> = {};
  for (const input of inputs) {
    switch (input) {
      case 'ids':
        invariant(task.ids !== null, 'a span reads tokens the task has not');
        feeds[input] = new Tensor('int32', task.ids.subarray(first * cols, (first + rows) * cols), [rows, cols]);
        break;
      case 'residual':
        feeds[input] = stream(task.residual);
        break;
      case 'last':
        feeds[input] = new Tensor('int64', BigInt64Array.from(task.lengths.subarray(first, first + rows), (length, b) => BigInt(b * cols + length - 1)), [rows]);
        break;
      case 'lastKey':
        feeds[input] = new Tensor('int32', new Int32Array(rows).fill(cols - 1), [rows]);
        break;
      case 'cotangent': {
        invariant(task.cotangent !== undefined, 'a span reads a cotangent the task has not');
        const shape = task.spec.gradient?.of === 'logits' ? [model.vocabSize] : [cols, model.dModel];
        const width = shape.reduce((product, size) => product * size, 1);
        feeds[input] = new Tensor('float32', task.cotangent.subarray(first * width, (first + rows) * width), [rows, ...shape]);
        break;
      }
      case 'total':
        feeds[input] = new Tensor('int32', Int32Array.of(cols), []);
        break;
      default:
        feeds[input] = stream(deltas.get(input.slice('delta:'.length)));
    }
  }
  return feeds;
}

/** All outputs of a span for the rows of a task, by name. */
async function runSpan({ session, inputs, outputs }: SpanSession, task: WorkerTask): Promise<ReadonlyMap<string, Float32Array>> {
  const { rows, cols, spec } = task;
  const pieceRows = setup.device === 'cpu' ? Math.max(1, Math.floor(PIECE_TOKENS / cols)) : rows;
  if (pieceRows >= rows) {
    const whole = await session.run(feedsOf(task, inputs, 0, rows));
    return new Map(outputs.map((name) => [name, whole[name].data as Float32Array]));
  }
  /** Of an output, without its rows. */
  const shapeOf = (name: string): number[] => {
    if (name !== 'logits') return [cols, model.dModel];
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
    await session.run(feedsOf(task, inputs, first, count), into);
  }
  return all;
}

export default async function runTask(task: WorkerTask): Promise<WorkerResult> {
  const span = await spans.get(spanKey(task.spec), () => openSpan(task));
  const outputs = await runSpan(span, task);
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
