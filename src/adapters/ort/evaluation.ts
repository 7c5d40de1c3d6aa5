import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { DictionaryParameters } from '../../dictionary/architecture.ts';
import { readGraph, readInputs } from '../../dictionary/readGraph.ts';
import type { ReadShape } from '../../dictionary/readGraph.ts';
import type { TrainerSpec } from '../../domain/training.ts';
import type { EvaluationSums } from '../../ports/TrainingEngine.ts';

/** Codes held at once, in numbers: 64 MB. */
const CODES = 16 << 20;

/** Reads held-out vectors with a dictionary in training; one session serves all its evaluations of one kind. */
export class Evaluation {
  readonly #spec: TrainerSpec;
  readonly #options: InferenceSession.SessionOptions;
  readonly #sessions = new Map<string, InferenceSession>();

  constructor(spec: TrainerSpec, options: InferenceSession.SessionOptions) {
    this.#spec = spec;
    this.#options = options;
  }

  /** See Trainer.evaluate. */
  async run({ k, ...weights }: DictionaryParameters, vectors: Float32Array, targets: Float32Array | undefined): Promise<EvaluationSums> {
    const { dIn: D, dOut, nFeatures: F, transcoder } = this.#spec;
    // A dictionary may come to have a threshold in place of a k while it is trained.
    const shape: ReadShape = { dIn: D, dOut, nFeatures: F, k, threshold: weights.threshold !== null, skip: weights.skip !== null, transcoder };
    const key = JSON.stringify(shape);
    const session = this.#sessions.get(key) ?? (await InferenceSession.create(readGraph(shape), this.#options));
    this.#sessions.set(key, session);
    const fixed = Object.fromEntries(readInputs(weights, shape).map(([name, data, dims]) => [name, new Tensor('float32', data, dims)]));
    const firings = new Float64Array(F);
    let squaredError = 0;
    const rows = Math.max(1, Math.min(1024, Math.floor(CODES / F)));
    const total = vectors.length / D;
    for (let start = 0; start < total; start += rows) {
      const n = Math.min(rows, total - start);
      const feeds: Record<string, Tensor> = { ...fixed, x: new Tensor('float32', vectors.subarray(start * D, (start + n) * D), [n, D]) };
      if (targets !== undefined) feeds['y'] = new Tensor('float32', targets.subarray(start * dOut, (start + n) * dOut), [n, dOut]);
      const out = await session.run(feeds, ['squaredError', 'firings']);
      for (const error of out['squaredError'].data as Float32Array) squaredError += error;
      const fired = out['firings'].data as Float32Array;
      for (let j = 0; j < F; j++) firings[j] += fired[j];
    }
    return { vectors: total, squaredError, firings };
  }

  async close(): Promise<void> {
    for (const session of this.#sessions.values()) await session.release();
  }
}
