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

function feedsOf(task: WorkerTask, inputs: readonly string[]): Record<string, Tensor> {
  const { rows, cols } = task;
  const deltas = new Map<string, Float32Array>(task.deltas);
  const stream = (data: Float32Array | null | undefined): Tensor => {
    invariant(data !== null && data !== undefined, 'a span reads an input the task has not');
    return new Tensor('float32', data, [rows, cols, model.dModel]);
  };
  const feeds: Record<string, Tensor> = {};
  for (const input of inputs) {
    switch (input) {
      case 'ids':
        invariant(task.ids !== null, 'a span reads tokens the task has not');
        feeds[input] = new Tensor('int32', task.ids, [rows, cols]);
        break;
      case 'residual':
        feeds[input] = stream(task.residual);
        break;
      case 'last':
        feeds[input] = new Tensor('int64', BigInt64Array.from(task.lengths, (length, b) => BigInt(b * cols + length - 1)), [rows]);
        break;
      case 'lastKey':
        feeds[input] = new Tensor('int32', new Int32Array(rows).fill(cols - 1), [rows]);
        break;
      case 'total':
        feeds[input] = new Tensor('int32', Int32Array.of(cols), []);
        break;
      default:
        feeds[input] = stream(deltas.get(input.slice('delta:'.length)));
    }
  }
  return feeds;
}

export default async function runTask(task: WorkerTask): Promise<WorkerResult> {
  const span = await spans.get(spanKey(task.spec), () => openSpan(task));
  const outputs = await span.session.run(feedsOf(task, span.inputs));
  const tapped = (at: Point): Float32Array => outputs[`tap:${at}`].data as Float32Array;

  const codes = [];
  for (const { at, encoder } of task.encode) {
    const session = await encoders.get(encoder.key, () => openEncoder(encoder, setup.device, setup.threads));
    codes.push(await encode(session, encoder, tapped(at), task.lengths, task.cols));
  }
  const result: WorkerResult = {
    taps: task.keep.map((at) => [at, tapped(at)] as const),
    logits: task.spec.logits === 'none' ? null : (outputs['logits'].data as Float32Array),
    codes,
  };
  return movable(result);
}

/** Hands the arrays over instead of copying them; the pool unwraps it, so that the caller sees the result itself. */
function movable(result: WorkerResult): WorkerResult {
  const arrays = [
    ...result.taps.map(([, data]) => data),
    ...result.codes.flatMap(({ offsets, features, values }) => [offsets, features, values]),
    ...(result.logits === null ? [] : [result.logits]),
  ];
  const wrapped = { [transferableSymbol]: arrays.map((array) => array.buffer), [valueSymbol]: result };
  return move(wrapped) as unknown as WorkerResult;
}
