import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import { readInputs } from '../../dictionary/readGraph.ts';
import type { ReadShape } from '../../dictionary/readGraph.ts';
import { trainableArchitecture } from '../../dictionary/registry.ts';
import { invariant } from '../../domain/errors.ts';
import type { TrainerSpec } from '../../domain/training.ts';
import type { EvaluationSums, StepStats, TrainerStart, TrainerState } from '../../ports/TrainingEngine.ts';
import { tfjsLoss } from './losses/registry.ts';
import { tfjsStep } from './tfjsStep.ts';
import { readBatch } from './readBatch.ts';

/** Activations held at once in evaluation, in numbers: 16 MB. */
const EVALUATION_CODES = 4 << 20;

/** One dictionary in training on the backend that openBackend chose. Blocks its thread while it works: lives in tfjsWorker.ts. */
export class TfjsTrainer {
  readonly #spec: TrainerSpec;
  /** State tensors that have a gradient. */
  readonly #parameters: readonly string[];
  #state: Record<string, Tensor> = {};
  #step: number;

  constructor(spec: TrainerSpec, start: TrainerStart) {
    this.#spec = spec;
    const architecture = trainableArchitecture(spec.architecture);
    tfjsLoss(spec.architecture); // refused before anything is held
    const state = start.kind === 'resume' ? start.state : architecture.initialState(spec, start.centre);
    const { stateNames } = architecture.stepGraph(spec); // the names the architecture's state has, in every engine
    this.#parameters = stateNames.filter((name) => stateNames.includes(`${name}.m`));
    const tensors = stateNames.map((name) => {
      const tensor = state.get(name);
      invariant(tensor !== undefined, `trainer state has no tensor ${name}`);
      return [name, tensor] as const;
    });
    for (const [name, { data, shape }] of tensors) this.#state[name] = tf.tensor(data.slice(), [...shape], 'float32');
    this.#step = state.get('step')?.data[0] ?? 0;
  }

  /** See Trainer.steps. */
  async steps(vectors: Float32Array, targets?: Float32Array): Promise<StepStats[]> {
    const { batchSize: B, dIn: D, dOut, architecture } = this.#spec;
    const size = B * D;
    invariant(vectors.length % size === 0, `${vectors.length} numbers are no whole batches of ${B} vectors of ${D}`);
    this.#checkTargets(vectors, targets);
    const stats: StepStats[] = [];
    for (let batch = 0; batch * size < vectors.length; batch++) {
      const x = tf.tensor2d(vectors.subarray(batch * size, (batch + 1) * size), [B, D]);
      const target = targets === undefined ? x : tf.tensor2d(targets.subarray(batch * B * dOut, (batch + 1) * B * dOut), [B, dOut]);
      const scalars = trainableArchitecture(architecture).scalars(this.#spec, this.#step + 1);
      const result = tfjsStep(tfjsLoss(architecture), this.#spec, this.#parameters, { state: this.#state, scalars, x, target });
      tf.dispose([this.#state, x, target]);
      this.#state = result.next;
      this.#step++;
      const [loss, mse, l0, dead] = (await result.stats.data()) as Float32Array;
      result.stats.dispose();
      stats.push({ loss: loss!, mse: mse!, l0: l0!, dead: dead! });
    }
    return stats;
  }

  /** A copy of the state. */
  async state(): Promise<TrainerState> {
    const state = new Map<string, { shape: readonly number[]; data: Float32Array }>();
    for (const [name, tensor] of Object.entries(this.#state)) {
      state.set(name, { shape: [...tensor.shape], data: ((await tensor.data()) as Float32Array).slice() });
    }
    state.set('step', { shape: [1], data: Float32Array.of(this.#step) });
    return state;
  }

  #checkTargets(vectors: Float32Array, targets: Float32Array | undefined): void {
    const { transcoder, dIn: D, dOut } = this.#spec;
    invariant(transcoder === (targets !== undefined), 'targets are given to transcoders, and only to them');
    invariant(targets === undefined || targets.length / dOut === vectors.length / D, 'as many targets as vectors');
  }

  /** See Trainer.evaluate. */
  async evaluate(vectors: Float32Array, targets?: Float32Array): Promise<EvaluationSums> {
    const { dIn: D, dOut, nFeatures: F, transcoder, architecture } = this.#spec;
    this.#checkTargets(vectors, targets);
    const { k, ...parameters } = trainableArchitecture(architecture).parameters(await this.state(), this.#spec);
    const shape: ReadShape = { dIn: D, dOut, nFeatures: F, k, threshold: parameters.threshold !== null, skip: parameters.skip !== null, transcoder };
    const weights = Object.fromEntries(readInputs(parameters, shape).map(([name, data, dims]) => [name, tf.tensor(data, [...dims])]));
    const firings = new Float64Array(F);
    let squaredError = 0;
    const rows = Math.max(1, Math.min(1024, Math.floor(EVALUATION_CODES / F)));
    const total = vectors.length / D;
    for (let start = 0; start < total; start += rows) {
      const n = Math.min(rows, total - start);
      const x: Tensor2D = tf.tensor2d(vectors.subarray(start * D, (start + n) * D), [n, D]);
      const target = targets === undefined ? x : tf.tensor2d(targets.subarray(start * dOut, (start + n) * dOut), [n, dOut]);
      const sums = readBatch(weights, shape, x, target);
      for (const error of await sums.squaredError.data()) squaredError += error;
      const fired = await sums.firings.data();
      for (let j = 0; j < F; j++) firings[j]! += fired[j]!;
      tf.dispose([x, target, sums.squaredError, sums.firings]);
    }
    tf.dispose(weights);
    return { vectors: total, squaredError, firings };
  }

  close(): void {
    tf.dispose(this.#state);
    this.#state = {};
  }
}
