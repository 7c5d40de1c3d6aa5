import { InferenceSession, Tensor } from 'onnxruntime-node';
import { trainableArchitecture } from '../../dictionary/registry.ts';
import { resampleDue } from '../../dictionary/resample.ts';
import { invariant } from '../../domain/errors.ts';
import type { TrainerSpec } from '../../domain/training.ts';
import type { EvaluationSums, StepStats, TrainerStart, TrainerState } from '../../ports/TrainingEngine.ts';
import { Evaluation } from './evaluation.ts';
import { checkVectors } from './stepTrainer.ts';
import type { StepTrainer } from './stepTrainer.ts';

type Tensors = Record<string, Tensor>;

/** Options of all graphs of a training. */
export function graphOptions(threads: number): InferenceSession.SessionOptions {
  return {
    executionProviders: ['cpu'],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    // Moments of dead features decay into denormal numbers, on which a core is many times slower.
    extra: { session: { set_denormal_as_zero: '1', intra_op: { allow_spinning: '0' } } },
  };
}

/**
 * One dictionary in training on onnxruntime's CPU provider. Blocks its thread while it works: lives in trainerWorker.ts.
 *
 * State tensors exist twice: a step reads one set and writes the other in place (outputs are preallocated), then they
 * swap. So a step copies nothing.
 */
export class OrtTrainer implements StepTrainer {
  readonly #spec: TrainerSpec;
  readonly #session: InferenceSession;
  readonly #evaluation: Evaluation;
  readonly #stateNames: readonly string[];
  #current: Tensors;
  #next: Tensors;
  #step: number;

  private constructor(spec: TrainerSpec, session: InferenceSession, evaluation: Evaluation, stateNames: readonly string[], state: TrainerState) {
    this.#spec = spec;
    this.#session = session;
    this.#evaluation = evaluation;
    this.#stateNames = stateNames;
    this.#current = {};
    this.#next = {};
    for (const name of stateNames) {
      const tensor = state.get(name);
      invariant(tensor !== undefined, `trainer state has no tensor ${name}`);
      this.#current[name] = new Tensor('float32', tensor.data.slice(), tensor.shape);
      this.#next[`next.${name}`] = new Tensor('float32', new Float32Array(tensor.data.length), tensor.shape);
    }
    this.#step = state.get('step')?.data[0] ?? 0;
  }

  /** @param threads threads of one matrix product. */
  static async open(spec: TrainerSpec, threads: number, start: TrainerStart): Promise<OrtTrainer> {
    const architecture = trainableArchitecture(spec.architecture);
    const { bytes, stateNames } = architecture.stepGraph(spec);
    const options = graphOptions(threads);
    const session = await InferenceSession.create(bytes, options);
    return new OrtTrainer(spec, session, new Evaluation(spec, options), stateNames, start.kind === 'resume' ? start.state : architecture.initialState(spec, start.centre));
  }

  /** See Trainer.steps. */
  async steps(vectors: Float32Array, targets?: Float32Array): Promise<StepStats[]> {
    const { batchSize: B, dIn: D, dOut } = this.#spec;
    const size = B * D;
    checkVectors(this.#spec, vectors, targets, true);
    const architecture = trainableArchitecture(this.#spec.architecture);
    const stats: StepStats[] = [];
    for (let start = 0; start < vectors.length; start += size) {
      const batch = start / size;
      const feeds: Tensors = { ...this.#current, x: new Tensor('float32', vectors.subarray(start, start + size), [B, D]) };
      if (targets !== undefined) feeds['y'] = new Tensor('float32', targets.subarray(batch * B * dOut, (batch + 1) * B * dOut), [B, dOut]);
      for (const [name, value] of Object.entries(architecture.scalars(this.#spec, this.#step + 1))) {
        feeds[name] = new Tensor('float32', Float32Array.of(value), [1]);
      }
      const out = await this.#session.run(feeds, { ...this.#next, loss: null, mse: null, l0: null, dead: null });
      stats.push({ loss: scalar(out['loss']), mse: scalar(out['mse']), l0: scalar(out['l0']), dead: scalar(out['dead']) });
      this.#swap();
      if (resampleDue(this.#spec, this.#step)) {
        const resampled = await this.#evaluation.resampled(this.state(), vectors.subarray(start, start + size), targets?.subarray(batch * B * dOut, (batch + 1) * B * dOut));
        for (const name of this.#stateNames) (this.#current[name].data as Float32Array).set(resampled.get(name)!.data);
      }
    }
    return stats;
  }

  /** The written set becomes the current one; names carry `next.` on the written side only. */
  #swap(): void {
    const current: Tensors = {};
    const next: Tensors = {};
    for (const name of this.#stateNames) {
      current[name] = this.#next[`next.${name}`]!;
      next[`next.${name}`] = this.#current[name]!;
    }
    this.#current = current;
    this.#next = next;
    this.#step++;
  }

  /** A copy of the state. */
  state(): TrainerState {
    const state = new Map<string, { shape: readonly number[]; data: Float32Array }>();
    for (const name of this.#stateNames) {
      const tensor = this.#current[name]!;
      state.set(name, { shape: tensor.dims, data: (tensor.data as Float32Array).slice() });
    }
    state.set('step', { shape: [1], data: Float32Array.of(this.#step) });
    return state;
  }

  /** See Trainer.evaluate. */
  async evaluate(vectors: Float32Array, targets?: Float32Array): Promise<EvaluationSums> {
    checkVectors(this.#spec, vectors, targets, false);
    return this.#evaluation.sums(trainableArchitecture(this.#spec.architecture).parameters(this.state(), this.#spec), vectors, targets);
  }

  async close(): Promise<void> {
    await this.#session.release();
    await this.#evaluation.close();
  }
}

function scalar(tensor: Tensor | undefined): number {
  return (tensor!.data as Float32Array)[0]!;
}
