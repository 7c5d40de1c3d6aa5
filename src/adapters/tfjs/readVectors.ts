import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import type { TrainingState } from '../../dictionary/architecture.ts';
import { readInputs } from '../../dictionary/readGraph.ts';
import type { ReadShape } from '../../dictionary/readGraph.ts';
import { trainableArchitecture } from '../../dictionary/registry.ts';
import type { TrainerSpec } from '../../domain/training.ts';
import type { EvaluationSums } from '../../ports/TrainingEngine.ts';
import { maskOfLargest } from './largest.ts';

/** Codes held at once, in numbers: 16 MB. */
const CODES = 4 << 20;

export interface Reading extends EvaluationSums {
  /** ‖target − x̂‖² of each vector [n]. */
  readonly squaredErrors: Float32Array;
}

/** Reads `vectors` [n, D] with the dictionary that a training state means, as src/dictionary/readGraph.ts does, some rows at a time. */
export async function readVectors(spec: TrainerSpec, state: TrainingState, vectors: Float32Array, targets: Float32Array | undefined): Promise<Reading> {
  const { dIn: D, dOut, nFeatures: F, transcoder, architecture } = spec;
  const { k, ...parameters } = trainableArchitecture(architecture).parameters(state, spec);
  const shape: ReadShape = { dIn: D, dOut, nFeatures: F, k, threshold: parameters.threshold !== null, skip: parameters.skip !== null, transcoder };
  const weights = Object.fromEntries(readInputs(parameters, shape).map(([name, data, dims]) => [name, tf.tensor(data, [...dims])]));
  const total = vectors.length / D;
  const firings = new Float64Array(F);
  const squaredErrors = new Float32Array(total);
  const rows = Math.max(1, Math.min(1024, Math.floor(CODES / F)));
  for (let start = 0; start < total; start += rows) {
    const n = Math.min(rows, total - start);
    const x: Tensor2D = tf.tensor2d(vectors.subarray(start * D, (start + n) * D), [n, D]);
    const target = targets === undefined ? x : tf.tensor2d(targets.subarray(start * dOut, (start + n) * dOut), [n, dOut]);
    const sums = readBatch(weights, shape, x, target);
    squaredErrors.set(await sums.squaredErrors.data(), start);
    const fired = await sums.firings.data();
    for (let j = 0; j < F; j++) firings[j]! += fired[j]!;
    tf.dispose([x, target, sums.squaredErrors, sums.firings]);
  }
  tf.dispose(weights);
  return { vectors: total, squaredError: squaredErrors.reduce((sum, error) => sum + error, 0), firings, squaredErrors };
}

/** `weights` are the inputs of readGraph by name; firings [F] are vectors on which each feature is active. */
function readBatch(weights: Readonly<Record<string, Tensor>>, { k, threshold, skip }: ReadShape, x: Tensor2D, target: Tensor2D): { squaredErrors: Tensor1D; firings: Tensor1D } {
  return tf.tidy(() => {
    const h = tf.add<Tensor2D>(tf.matMul(x, weights['encoder'] as Tensor2D, false, true), weights['encoderBias']!);
    const positive = tf.relu(h);
    const codes = threshold ? tf.mul<Tensor2D>(positive, tf.cast(tf.greater(h, weights['threshold']!), 'float32')) : positive;
    const c = k === null ? codes : tf.mul<Tensor2D>(codes, maskOfLargest(codes, k));
    const plain = tf.add(tf.matMul(c, weights['decoder'] as Tensor2D), weights['decoderBias']!);
    const xHat = skip ? tf.add(plain, tf.matMul(x, weights['skip'] as Tensor2D, false, true)) : plain;
    return { squaredErrors: tf.sum<Tensor1D>(tf.square(tf.sub(xHat, target)), 1), firings: tf.sum<Tensor1D>(tf.cast(tf.greater(c, 0), 'float32'), 0) };
  });
}
