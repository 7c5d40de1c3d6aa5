import type { Hyperparameters, TrainerSpec, TrainingSizes } from '../domain/training.ts';
import type { Value } from '../onnx/graphBuilder.ts';
import type { DictionaryParameters, Tensor, TrainingState } from './architecture.ts';
import { atMostTenth } from './hyperparameters.ts';
import { linearParameters } from './linear.ts';
import { adamScalars } from './schedule.ts';
import { stateData } from './state.ts';
import type { StepBuilder } from './stepBuilder.ts';

/**
 * Codes that share their budget over a batch (Bussmann et al. 2024, arXiv 2412.06410), with h of linear.ts:
 *
 *     c = the k·B largest of relu(h) of the whole batch, else 0
 *
 * and the running threshold θ that stands in for the batch when single vectors are read (in the paper the mean of the batches'
 * smallest positive code, here an exponential one as dictionary_learning keeps it):
 *
 *     τ = min {c_ij > 0}       θ' = τ at first, then thresholdDecay·θ + (1 − thresholdDecay)·τ
 *
 * from step thresholdStart + 1 on. (The library counts steps from 0 and starts one later for the same number; on a batch without
 * any code it takes τ = 0, which this leaves out.) θ = −1 until then.
 *
 * @returns c and relu(h) [B, F], and the next value of the buffer `threshold` [1], which this declares.
 */
export function batchCodes(step: StepBuilder, { batchSize: B, nFeatures: F, hyper: { k, thresholdDecay } }: TrainerSpec, h: Value): { c: Value; positive: Value; threshold: Value } {
  const { g } = step;
  const { relu, reshape, mul, add, where, greater, less, reduceMin } = step.ops;
  const held = step.buffer('threshold', [1]);
  const tracked = step.scalar('tracked');
  const positive = relu(h);
  const flat = reshape(positive, [B * F]);
  const [values, indices] = g.nodeWithOutputs('TopK', [flat, g.int([k * B])], 2, { axis: 0, largest: 1, sorted: 0 });
  const c = reshape(g.node('ScatterElements', [mul(flat, 0), indices!, values!], { axis: 0 }), [B, F]);

  const smallest = reduceMin(where(greater(values!, 0), values!, FAR), [0]); // [1]
  const moved = where(less(held, 0), smallest, add(mul(held, thresholdDecay), mul(smallest, 1 - thresholdDecay)));
  const counts = mul(tracked, step.ops.cast(less(smallest, FAR), 'float32'));
  return { c, positive, threshold: where(greater(counts, 0), moved, held) };
}

/** More than any activation. */
const FAR = 3e38;

/**
 * dictionary_learning's defaults for the threshold, decay 0.999 from step 1000 on, with both thousands at most a tenth of
 * the run: a mean that reached further back would still remember the larger codes of the start.
 */
export function thresholdDefaults(sizes: TrainingSizes): Pick<Hyperparameters, 'thresholdDecay' | 'thresholdStart'> {
  return { thresholdDecay: 1 - 1 / Math.max(1, atMostTenth(1000, sizes)), thresholdStart: atMostTenth(1000, sizes) };
}

/** The state beside the parameters: no threshold yet. */
export const UNTRACKED: Readonly<Record<string, Tensor>> = { threshold: { shape: [1], data: Float32Array.of(-1) } };

/** `tracked` is 1 on steps whose smallest code enters the running threshold. */
export function batchScalars(spec: TrainerSpec, step: number): Readonly<Record<string, number>> {
  return { tracked: step > spec.hyper.thresholdStart ? 1 : 0, ...adamScalars(spec, step) };
}

/** θ for every feature; as long as there is none, k per vector. */
export function batchParameters(state: TrainingState, spec: TrainerSpec): DictionaryParameters {
  const theta = stateData(state, 'threshold')[0]!;
  const parameters = linearParameters(state, spec);
  return theta < 0 ? { ...parameters, k: spec.hyper.k } : { ...parameters, threshold: new Float32Array(spec.nFeatures).fill(theta) };
}
