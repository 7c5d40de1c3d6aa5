import { CallerError, InvariantError } from '../../domain/errors.ts';
import { depthOf, pointOf } from '../../lm/point.ts';
import type { Point } from '../../lm/point.ts';
import type { GradientRequest } from '../../ports/GradientModel.ts';
import type { WorkerTask } from './messages.ts';
import { planRequest } from './requestPlan.ts';
import type { ModelSizes } from './requestPlan.ts';

/**
 * Checks a request for gradients and puts it in a worker's terms. Throws what planRequest throws, and BAD_INPUT for points of
 * `wrt` after the objective or before the start of the run, with the offending field.
 */
export function planGradient(request: GradientRequest, sizes: ModelSizes): WorkerTask {
  const { batch, from, edits, of } = request;
  const bad = (message: string, ...field: string[]): never => {
    throw new CallerError('BAD_INPUT', message, { field });
  };
  const end = of.at === 'logits' ? null : pointOf(of.at, sizes.layers);
  const start = from === undefined ? null : pointOf(from.at, sizes.layers);
  const wrt = request.wrt.map((hook, i): Point => {
    const point = pointOf(hook, sizes.layers);
    if (end !== null && depthOf(point) > depthOf(end)) bad(`wrt[${i}]: ${hook} lies after the objective at ${of.at}: expected that point or an earlier one`, 'wrt', String(i));
    if (start !== null && depthOf(point) < depthOf(start)) bad(`wrt[${i}]: ${hook} lies before ${from!.at}, where the run starts`, 'wrt', String(i));
    return point;
  });
  if (wrt.length === 0) bad('no gradients are asked for: expected hook points in wrt', 'wrt');

  const forward = planRequest(
    { batch, ...(from === undefined ? {} : { from }), ...(edits === undefined ? {} : { edits }), taps: of.at === 'logits' ? request.wrt : [of.at], logits: of.at === 'logits' ? 'last' : 'none' },
    sizes,
    () => {
      throw new InvariantError('bug: no dictionaries are read');
    },
  );
  const objective: Point | 'logits' = end ?? 'logits';
  const width = objective === 'logits' ? sizes.vocabSize : sizes.dModel;
  const rows = objective === 'logits' ? batch.rows : batch.rows * batch.cols;
  const cotangent = checked(of.cotangent, rows * width, bad);
  if (objective !== 'logits') {
    for (const [b, length] of batch.lengths.entries()) cotangent.fill(0, (b * batch.cols + length) * width, (b + 1) * batch.cols * width);
  }
  const gradient = { of: objective, wrt: [...new Set(wrt)] };
  return { ...forward, spec: { ...forward.spec, taps: [], logits: 'none', gradient }, keep: [], encode: [], cotangent };
}

/** A copy. */
function checked(cotangent: Float32Array, count: number, bad: (message: string, ...field: string[]) => never): Float32Array {
  if (cotangent.length !== count) bad(`of.cotangent: expected ${count} numbers, found ${cotangent.length}`, 'of', 'cotangent');
  for (let i = 0; i < count; i++) if (!Number.isFinite(cotangent[i])) bad('of.cotangent: holds a number that is not finite', 'of', 'cotangent');
  return cotangent.slice();
}
