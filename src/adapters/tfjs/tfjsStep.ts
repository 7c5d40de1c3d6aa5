import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import { invariant } from '../../domain/errors.ts';
import type { Hyperparameters, TrainerSpec } from '../../domain/training.ts';
import type { LossOutputs, TfjsLoss } from './loss.ts';
import { sinceFiredAfter } from './sinceFired.ts';

/** torch's clip_grad_norm_ adds this to the norm. */
const CLIP_EPSILON = 1e-6;
/** Least row norm divided by when rows are brought back to unit length. */
const NORM_FLOOR = 1e-8;

type Tensors = Readonly<Record<string, Tensor>>;

export interface StepResult {
  readonly next: Record<string, Tensor>;
  /** loss, mse, l0, dead. */
  readonly stats: Tensor1D;
}

/**
 * One training step in TensorFlow.js: what StepBuilder.finish (src/dictionary) puts around an architecture's gradients, around
 * automatic ones. Same order: parallel part of unit rows' gradients removed, gradients clipped together, Adam, unit rows
 * brought back to unit length, features' time since they fired. Every tensor but the result's is disposed of.
 *
 * @param parameters names of the state tensors with a gradient.
 */
export function tfjsStep(
  architecture: TfjsLoss,
  spec: TrainerSpec,
  parameters: readonly string[],
  { state, scalars, x, target }: { readonly state: Tensors; readonly scalars: Readonly<Record<string, number>>; readonly x: Tensor2D; readonly target: Tensor2D },
): StepResult {
  let outputs: LossOutputs | undefined;
  const keptAside: Tensor[] = []; // outputs beside the loss, which the differentiation would dispose of
  const result = tf.tidy(() => {
    const differentiate = tf.valueAndGrads((...values: Tensor[]) => {
      const named = Object.fromEntries(parameters.map((name, i) => [name, values[i]!]));
      outputs = architecture.compute({ spec, x, target, state: { ...state, ...named }, scalars });
      for (const tensor of [outputs.mse, outputs.fired, ...Object.values(outputs.buffers ?? {})]) keptAside.push(tf.keep(tensor));
      return tf.reshape(outputs.loss, []);
    });
    const { value, grads } = differentiate(parameters.map((name) => state[name]!));
    invariant(outputs !== undefined, 'the loss was computed');
    const { mse, fired, buffers } = outputs;

    const rules = architecture.rules(spec);
    const sloped = parameters.map((name, i) => (rules[name]?.unitRows === true ? withoutParallel(grads[i]!, state[name]!) : grads[i]!));
    const gradients = clipped(sloped, spec.hyper.clipNorm);
    const next: Record<string, Tensor> = {};
    parameters.forEach((name, i) => {
      const { unitRows = false, stepFactor = 1, floor } = rules[name] ?? {};
      const stepSize = scalars['stepSize']! * stepFactor;
      const moved = adam({ p: state[name]!, gradient: gradients[i]!, m: state[`${name}.m`]!, v: state[`${name}.v`]! }, spec.hyper, { ...scalars, stepSize });
      const bounded = floor === undefined ? moved.p : tf.maximum(moved.p, floor);
      next[name] = unitRows ? tf.div(bounded, tf.maximum(tf.norm(bounded, 2, 1, true), NORM_FLOOR)) : bounded;
      next[`${name}.m`] = moved.m;
      next[`${name}.v`] = moved.v;
    });
    for (const [name, tensor] of Object.entries(buffers ?? {})) next[name] = tf.clone(tensor);
    const since = sinceFiredAfter(state['sinceFired']!, fired, spec.batchSize);
    next['sinceFired'] = since;
    const l0 = tf.mul<Scalar>(tf.sum(fired), 1 / spec.batchSize);
    const dead = tf.mean<Scalar>(tf.cast(tf.greater(since, spec.hyper.deadVectors - 0.5), 'float32'));
    return { next, stats: tf.stack([value, mse, l0, dead].map((scalar) => tf.reshape(scalar, []))) as Tensor1D };
  });
  tf.dispose(keptAside);
  return result;
}

/** The gradient without its part along each row of `rows`, whose rows have length 1. */
function withoutParallel(gradient: Tensor, rows: Tensor): Tensor {
  return tf.sub(gradient, tf.mul(rows, tf.sum(tf.mul(gradient, rows), 1, true)));
}

/** Scaled together to a norm of at most `clipNorm`; 0 = unlimited. */
function clipped(gradients: readonly Tensor[], clipNorm: number): readonly Tensor[] {
  if (clipNorm === 0) return gradients;
  const norm = tf.sqrt(tf.addN(gradients.map((gradient) => tf.sum(tf.square(gradient)))));
  const factor = tf.minimum(tf.div(clipNorm, tf.add(norm, CLIP_EPSILON)), 1);
  return gradients.map((gradient) => tf.mul(gradient, factor));
}

/** src/dictionary/adam.ts. */
function adam(
  { p, gradient, m, v }: Readonly<Record<'p' | 'gradient' | 'm' | 'v', Tensor>>,
  { beta1, beta2, epsilon }: Pick<Hyperparameters, 'beta1' | 'beta2' | 'epsilon'>,
  { stepSize, secondCorrection }: Readonly<Record<string, number>>,
): Record<'p' | 'm' | 'v', Tensor> {
  const nextM = tf.add(tf.mul(m, beta1), tf.mul(gradient, 1 - beta1));
  const nextV = tf.add(tf.mul(v, beta2), tf.mul(tf.mul(gradient, 1 - beta2), gradient));
  const denominator = tf.add(tf.div(tf.sqrt(nextV), secondCorrection!), epsilon);
  return { p: tf.sub(p, tf.mul(tf.div(nextM, denominator), stepSize!)), m: nextM, v: nextV };
}
