import { invariant } from '../domain/errors.ts';
import type { TrainerSpec } from '../domain/training.ts';
import { Rng } from '../math/rng.ts';
import type { Tensor, TrainingState } from './architecture.ts';
import { stateData } from './state.ts';

/** Reach of a resampled feature's encoder in units of the living ones' (Bricken et al. 2023). */
const REACH = 0.2;

/** Whether dead features are resampled after `step` steps. Not after the last one: such features would stay as they are made. */
export function resampleDue({ totalSteps, hyper: { resampleSteps } }: TrainerSpec, step: number): boolean {
  return resampleSteps > 0 && step > 0 && step < totalSteps && step % resampleSteps === 0;
}

/** Vectors on which the dictionary is doing badly, as material for new features. */
export interface ResampleBatch {
  /** [n, D] as trained on. */
  readonly x: Float32Array;
  /** [n, dOut]; transcoders only. */
  readonly y?: Float32Array;
  /**
   * ‖target − x̂‖ of each vector [n], from the dictionary as `state` has it: a vector is drawn with probability
   * proportional to it. (Bricken et al. square it, dictionary_learning does not.)
   */
  readonly loss: ArrayLike<number>;
}

/**
 * Gives dead features a new start on vectors that are badly reconstructed (Bricken et al. 2023, "Towards Monosemanticity",
 * appendix; dictionary_learning's StandardTrainer). Dead = silent for more than resampleSteps/2 steps. Each takes another
 * vector x_i, at most n of them, drawn without replacement:
 *
 *     E_j = 0.2 · mean ‖E of living features‖ · (x_i − b′)/‖x_i − b′‖        W_j = (x_i − b′)/‖x_i − b′‖        b_j = 0
 *
 * and their moments and sinceFired return to 0. The library takes x_i itself: with a mean far from 0 all new features would
 * point along it. In a transcoder E_j has the direction of x_i and W_j that of y_i − b′. A tied dictionary has one row, whose
 * length is without effect: M_j has x_i's direction and the living rows' mean length, and b_j = −0.8·‖x_i‖, so that there too
 * the feature starts with 0.2 of its vector's length on that vector and is silent on most others.
 *
 * Pure and seeded by (spec.seed, state's step): resuming from a state repeats it. Arrays of `state` are not changed.
 */
export function resample(state: TrainingState, spec: TrainerSpec, batch: ResampleBatch): TrainingState {
  const { batchSize: B, dIn: D, dOut, nFeatures: F, seed, transcoder, hyper } = spec;
  const since = stateData(state, 'sinceFired');
  const dead = Array.from({ length: F }, (_, j) => j).filter((j) => since[j]! > (B * hyper.resampleSteps) / 2);
  if (dead.length === 0) return state;
  const rng = Rng.derive(seed, 'resample', stateData(state, 'step')[0]!);
  const drawn = drawWithout(batch.loss, dead.length, rng);
  const chosen = dead.slice(0, drawn.length);

  const next = new Map<string, Tensor>([...state].map(([name, { shape, data }]) => [name, { shape, data: data.slice() }]));
  const isDead = new Set(dead);
  const living = Array.from({ length: F }, (_, j) => j).filter((j) => !isDead.has(j));
  const tied = state.has('rows');
  const encoder = stateData(next, tied ? 'rows' : 'encoder');
  const norms = living.map((j) => length(encoder, j * D, D));
  const norm = norms.length === 0 ? 1 : norms.reduce((sum, value) => sum + value, 0) / norms.length;
  const bias = tied || transcoder ? null : stateData(next, 'decoderBias');
  chosen.forEach((j, at) => {
    const i = drawn[at]!;
    const [input, inputLength] = direction(batch.x, i, D, bias);
    for (let d = 0; d < D; d++) encoder[j * D + d] = input[d]! * norm * (tied ? 1 : REACH);
    stateData(next, tied ? 'bias' : 'encoderBias')[j] = tied ? -(1 - REACH) * inputLength : 0;
    if (!tied) {
      invariant(!transcoder || batch.y !== undefined, 'a transcoder is resampled with targets');
      const output = transcoder ? direction(batch.y!, i, dOut, stateData(next, 'decoderBias'))[0] : input;
      stateData(next, 'decoder').set(output, j * dOut);
    }
    forget(next, j, F);
  });
  return next;
}

/** Feature j's moments and time since it fired, back to 0. A tensor with F as its first dimension has a row for each feature. */
function forget(state: TrainingState, j: number, F: number): void {
  for (const [name, { shape, data }] of state) {
    const perFeature = name === 'sinceFired' || ((name.endsWith('.m') || name.endsWith('.v')) && !name.startsWith('decoderBias') && !name.startsWith('skip'));
    if (!perFeature) continue;
    invariant(shape[0] === F, `${name} has a row for each of ${F} features`);
    const width = data.length / F;
    data.fill(0, j * width, (j + 1) * width);
  }
}

/** Row i of vectors less `centre` at length 1, and its length before. A row of zeros stays so. */
function direction(vectors: Float32Array, i: number, width: number, centre: Float32Array | null): [Float32Array, number] {
  const row = vectors.slice(i * width, (i + 1) * width);
  if (centre !== null) for (let d = 0; d < width; d++) row[d]! -= centre[d]!;
  const found = length(row, 0, width);
  return [row.map((value) => value / Math.max(found, 1e-8)), found];
}

function length(values: Float32Array, start: number, width: number): number {
  let sum = 0;
  for (let d = start; d < start + width; d++) sum += values[d]! ** 2;
  return Math.sqrt(sum);
}

/**
 * Indices drawn one after the other with probability proportional to weight among those left, at most `count` and none of
 * weight 0: those with the smallest of exponential variates of rate `weight` (Efraimidis & Spirakis 2006).
 */
export function drawWithout(weights: ArrayLike<number>, count: number, rng: Rng): number[] {
  const keys = Array.from(weights, (weight) => -Math.log(1 - rng.next()) / weight);
  return [...keys.keys()].filter((i) => weights[i]! > 0).sort((a, b) => keys[a]! - keys[b]!).slice(0, count);
}
