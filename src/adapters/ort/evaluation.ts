import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { DictionaryParameters, TrainingState } from '../../dictionary/architecture.ts';
import { readGraph, readInputs } from '../../dictionary/readGraph.ts';
import type { ReadShape } from '../../dictionary/readGraph.ts';
import { trainableArchitecture } from '../../dictionary/registry.ts';
import { resample } from '../../dictionary/resample.ts';
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
  async sums(parameters: DictionaryParameters, vectors: Float32Array, targets: Float32Array | undefined): Promise<EvaluationSums> {
    const firings = new Float64Array(this.#spec.nFeatures);
    let squaredError = 0;
    await this.#read(parameters, vectors, targets, ['squaredError', 'firings'], (_, out) => {
      for (const error of out['squaredError']) squaredError += error;
      for (let j = 0; j < firings.length; j++) firings[j] += out['firings'][j];
    });
    return { vectors: vectors.length / this.#spec.dIn, squaredError, firings };
  }

  /** The state with dead features resampled on these vectors; see src/dictionary/resample.ts. */
  async resampled(state: TrainingState, x: Float32Array, y: Float32Array | undefined): Promise<TrainingState> {
    const loss = new Float32Array(x.length / this.#spec.dIn);
    await this.#read(trainableArchitecture(this.#spec.architecture).parameters(state, this.#spec), x, y, ['squaredError'], (at, out) => {
      loss.set(out['squaredError'].map(Math.sqrt), at);
    });
    return resample(state, this.#spec, { x, ...(y === undefined ? {} : { y }), loss });
  }

  /** Gives `each` what the read graph makes of the vectors, some rows at a time, beginning at row `at`. */
  async #read(
    { k, ...weights }: DictionaryParameters,
    vectors: Float32Array,
    targets: Float32Array | undefined,
    outputs: readonly string[],
    each: (at: number, out: Readonly<Record<string, Float32Array>>) => void,
  ): Promise<void> {
    const { dIn: D, dOut, nFeatures: F, transcoder } = this.#spec;
    // A dictionary may come to have a threshold in place of a k while it is trained.
    const shape: ReadShape = { dIn: D, dOut, nFeatures: F, k, threshold: weights.threshold !== null, skip: weights.skip !== null, transcoder };
    const key = JSON.stringify(shape);
    const session = this.#sessions.get(key) ?? (await InferenceSession.create(readGraph(shape), this.#options));
    this.#sessions.set(key, session);
    const fixed = Object.fromEntries(readInputs(weights, shape).map(([name, data, dims]) => [name, new Tensor('float32', data, dims)]));
    const rows = Math.max(1, Math.min(1024, Math.floor(CODES / F)));
    const total = vectors.length / D;
    for (let at = 0; at < total; at += rows) {
      const n = Math.min(rows, total - at);
      const feeds: Record<string, Tensor> = { ...fixed, x: new Tensor('float32', vectors.subarray(at * D, (at + n) * D), [n, D]) };
      if (targets !== undefined) feeds['y'] = new Tensor('float32', targets.subarray(at * dOut, (at + n) * dOut), [n, dOut]);
      const out = await session.run(feeds, outputs);
      each(at, Object.fromEntries(outputs.map((name) => [name, out[name].data as Float32Array])));
    }
  }

  async close(): Promise<void> {
    for (const session of this.#sessions.values()) await session.release();
  }
}
