import { activationAt } from '../causal/activeFeatures.ts';
import { activationOf } from '../causal/featureEdit.ts';
import type { DictionaryWeights } from '../domain/dictionary.ts';
import { invariant } from '../domain/errors.ts';
import type { HookPoint } from '../domain/hookPoint.ts';
import type { TokenBatch } from '../domain/model.ts';
import type { SparseCodes } from '../domain/sparseCodes.ts';
import type { ForwardRequest, SubjectModel } from '../ports/SubjectModel.ts';

/** What came out of a forward run of several prompts. */
export interface Run {
  readonly taps: ReadonlyMap<HookPoint, Float32Array>;
  readonly codes: ReadonlyMap<DictionaryWeights, SparseCodes>;
  readonly logits: Float32Array | null;
}

/** One prompt in a run: its vectors are `first` to `first + length − 1` of every tap, its last logits are row `row`. */
export interface RunRows {
  readonly run: Run;
  readonly row: number;
  readonly first: number;
  readonly length: number;
}

export async function forwardRun(model: SubjectModel, request: ForwardRequest & { readonly encode: readonly DictionaryWeights[] }): Promise<Run> {
  const { taps, codes, logits } = await model.forward(request);
  return { taps, codes: new Map(request.encode.map((weights, i) => [weights, codes[i]])), logits };
}

/** The rows of a run of a batch. */
export function rowsOf(run: Run, batch: TokenBatch): RunRows[] {
  return Array.from(batch.lengths, (length, row) => ({ run, row, first: row * batch.cols, length }));
}

export function tapOf(taps: ReadonlyMap<HookPoint, Float32Array>, hook: HookPoint): Float32Array {
  const tap = taps.get(hook);
  invariant(tap !== undefined, `the model gave no tap at ${hook}`);
  return tap;
}

/** A feature's activations at some positions of a prompt, 0 elsewhere: from the dictionary's codes where it was read whole, else its own dot products. */
export function activationsIn({ run, first, length }: RunRows, weights: DictionaryWeights, index: number, hook: HookPoint, positions: readonly number[]): Float64Array {
  const found = new Float64Array(length);
  if (weights.config.k === null) {
    const x = tapOf(run.taps, hook);
    for (const t of positions) found[t] = activationOf(weights, index, x, (first + t) * weights.config.dIn);
    return found;
  }
  const codes = run.codes.get(weights);
  invariant(codes !== undefined, `dictionary ${weights.config.name} was not encoded`);
  for (const t of positions) found[t] = activationAt(codes, first + t, index);
  return found;
}

export function everyPosition(length: number): number[] {
  return Array.from({ length }, (_, t) => t);
}
