import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { trainableArchitecture } from '../../dictionary/registry.ts';
import { resample, resampleDue } from '../../dictionary/resample.ts';
import { invariant } from '../../domain/errors.ts';
import type { TrainerSpec } from '../../domain/training.ts';
import type { EvaluationSums, StepStats, TrainerStart, TrainerState } from '../../ports/TrainingEngine.ts';
import { checkVectors } from '../../training/stepTrainer.ts';
import type { StepTrainer } from '../../training/stepTrainer.ts';
import { tfjsLoss } from './losses/registry.ts';
import { readVectors } from './readVectors.ts';
import { tfjsStep } from './tfjsStep.ts';

/** One dictionary in training on the backend that openBackend chose. Blocks its thread while it works: lives in tfjsWorker.ts. */
export class TfjsTrainer implements StepTrainer {
  readonly #spec: TrainerSpec;
  /** Names of the state tensors, as in every engine; without `step`. */
  readonly #stateNames: readonly string[];
  #state: Record<string, Tensor> = {};
  #step: number;

  constructor(spec: TrainerSpec, start: TrainerStart) {
    this.#spec = spec;
    const architecture = trainableArchitecture(spec.architecture);
    tfjsLoss(spec.architecture); // refused before anything is held
    this.#stateNames = architecture.stepGraph(spec).stateNames;
    const state = start.kind === 'resume' ? start.state : architecture.initialState(spec, start.centre);
    this.#hold(state);
    this.#step = state.get('step')?.data[0] ?? 0;
  }

  /** Puts the tensors of `state` in the place of those held. */
  #hold(state: TrainerState): void {
    const tensors = this.#stateNames.map((name) => {
      const tensor = state.get(name);
      invariant(tensor !== undefined, `trainer state has no tensor ${name}`);
      return [name, tensor] as const;
    });
    tf.dispose(this.#state);
    this.#state = Object.fromEntries(tensors.map(([name, { data, shape }]) => [name, tf.tensor(data.slice(), [...shape], 'float32')]));
  }

  /** See Trainer.steps. */
  async steps(vectors: Float32Array, targets?: Float32Array): Promise<StepStats[]> {
    const { batchSize: B, dIn: D, dOut } = this.#spec;
    checkVectors(this.#spec, vectors, targets, true);
    const stats: StepStats[] = [];
    for (let at = 0; at < vectors.length / D; at += B) {
      const [x, y] = [vectors.subarray(at * D, (at + B) * D), targets?.subarray(at * dOut, (at + B) * dOut)];
      stats.push(await this.#takeStep(x, y));
      if (resampleDue(this.#spec, this.#step)) await this.#resample(x, y);
    }
    return stats;
  }

  async #takeStep(vectors: Float32Array, targets: Float32Array | undefined): Promise<StepStats> {
    const { batchSize: B, dIn: D, dOut, architecture } = this.#spec;
    const x = tf.tensor2d(vectors, [B, D]);
    const target = targets === undefined ? x : tf.tensor2d(targets, [B, dOut]);
    const scalars = trainableArchitecture(architecture).scalars(this.#spec, this.#step + 1);
    const parameters = this.#stateNames.filter((name) => this.#stateNames.includes(`${name}.m`));
    const result = tfjsStep(tfjsLoss(architecture), this.#spec, parameters, { state: this.#state, scalars, x, target });
    tf.dispose([this.#state, x, target]);
    this.#state = result.next;
    this.#step++;
    const [loss, mse, l0, dead] = (await result.stats.data()) as Float32Array;
    result.stats.dispose();
    return { loss: loss!, mse: mse!, l0: l0!, dead: dead! };
  }

  /** Dead features start again on these vectors; see src/dictionary/resample.ts. */
  async #resample(x: Float32Array, y: Float32Array | undefined): Promise<void> {
    const state = await this.state();
    const { squaredErrors } = await readVectors(this.#spec, state, x, y);
    this.#hold(resample(state, this.#spec, { x, ...(y === undefined ? {} : { y }), loss: squaredErrors.map(Math.sqrt) }));
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

  /** See Trainer.evaluate. */
  async evaluate(vectors: Float32Array, targets?: Float32Array): Promise<EvaluationSums> {
    checkVectors(this.#spec, vectors, targets, false);
    const { vectors: n, squaredError, firings } = await readVectors(this.#spec, await this.state(), vectors, targets);
    return { vectors: n, squaredError, firings };
  }

  close(): void {
    tf.dispose(this.#state);
    this.#state = {};
  }
}
