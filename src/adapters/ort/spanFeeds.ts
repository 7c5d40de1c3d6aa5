import { Tensor } from 'onnxruntime-node';
import { invariant } from '../../domain/errors.ts';
import type { LanguageModel } from '../../lm/architecture.ts';
import type { Point } from '../../lm/point.ts';
import type { WorkerTask } from './messages.ts';
import type { Narrowing } from './narrow.ts';

/** Inputs for rows [first, first + rows) of a task. */
export function feedsOf(task: WorkerTask, inputs: readonly string[], narrowing: Narrowing | null, { dModel, vocabSize }: Pick<LanguageModel, 'dModel' | 'vocabSize'>, first: number, rows: number): Record<string, Tensor> {
  const { cols } = task;
  const deltas = new Map<string, Float32Array>(task.deltas);
  const stream = (data: Float32Array | null | undefined): Tensor => {
    invariant(data !== null && data !== undefined, 'a span reads an input the task has not');
    const width = cols * dModel;
    return new Tensor('float32', data.subarray(first * width, (first + rows) * width), [rows, cols, dModel]);
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
      case 'last': {
        const places =
          narrowing === null
            ? BigInt64Array.from(task.lengths.subarray(first, first + rows), (length, b) => BigInt(b * cols + length - 1))
            : BigInt64Array.from({ length: rows }, (_, b) => BigInt((b + 1) * narrowing.width - 1));
        feeds[input] = new Tensor('int64', places, [rows]);
        break;
      }
      case 'places':
      case 'positions': {
        invariant(narrowing !== null, 'a span is narrowed, its task is not');
        const { width, positions } = narrowing;
        const stride = input === 'places' ? cols : 0;
        feeds[input] = new Tensor('int64', BigInt64Array.from({ length: rows * width }, (_, i) => BigInt(Math.floor(i / width) * stride + positions[first * width + i])), [rows, width]);
        break;
      }
      case 'lastKey':
        feeds[input] = new Tensor('int32', new Int32Array(rows).fill(cols - 1), [rows]);
        break;
      case 'cotangent': {
        invariant(task.cotangent !== undefined, 'a span reads a cotangent the task has not');
        const shape = task.spec.gradient?.of === 'logits' ? [vocabSize] : [cols, dModel];
        const width = shape.reduce((product, size) => product * size, 1);
        feeds[input] = new Tensor('float32', task.cotangent.subarray(first * width, (first + rows) * width), [rows, ...shape]);
        break;
      }
      case 'total':
        feeds[input] = new Tensor('int32', Int32Array.of(cols), []);
        break;
      default: {
        const point = input.slice('delta:'.length) as Point;
        const delta = deltas.get(point);
        if (narrowing === null || delta === undefined || !narrowing.isLate(point)) feeds[input] = stream(delta);
        else feeds[input] = new Tensor('float32', narrowing.take(delta, dModel, cols, first, rows), [rows, narrowing.width, dModel]);
      }
    }
  }
  return feeds;
}
