import { InferenceSession, Tensor } from 'onnxruntime-node';
import { multiStepGraph } from '../../dictionary/multiStep.ts';
import { trainableArchitecture } from '../../dictionary/registry.ts';
import { resampleDue } from '../../dictionary/resample.ts';
import { invariant } from '../../domain/errors.ts';
import type { TrainerSpec } from '../../domain/training.ts';
import type { EvaluationSums, StepStats, TrainerStart, TrainerState } from '../../ports/TrainingEngine.ts';
import type { Device } from './device.ts';
import { Evaluation } from './evaluation.ts';
import { checkVectors } from '../../training/stepTrainer.ts';
import type { StepTrainer } from '../../training/stepTrainer.ts';

type Tensors = Record<string, Tensor>;

/** Options of all graphs of a training. */
export function graphOptions(threads: number, device: Device = 'cpu'): InferenceSession.SessionOptions {
  return {
    executionProviders: [device],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    // Moments of dead features decay into denormal numbers, on which a core is many times slower.
    extra: { session: { set_denormal_as_zero: '1', intra_op: { allow_spinning: '0' } } },
  };
}

/**
 * One dictionary in training by its step graph on onnxruntime. Blocks its thread while it works: lives in trainerWorker.ts.
 *
 * State tensors exist twice: a step reads one set and writes the other in place (outputs are preallocated), then they
 * swap. So a step copies nothing.
 */
export class OrtTrainer implements StepTrainer {
  readonly #spec: TrainerSpec;
  readonly #session: InferenceSession;
  readonly #several: { readonly steps: number; readonly session: InferenceSession } | null;
  readonly #evaluation: Evaluation;
  readonly #stateNames: readonly string[];
  #current: Tensors;
  #next: Tensors;
  #step: number;

  private constructor(spec: TrainerSpec, session: InferenceSession, several: { steps: number; session: InferenceSession } | null, evaluation: Evaluation, stateNames: readonly string[], state: TrainerState) {
    this.#spec = spec;
    this.#session = session;
    this.#several = several;
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

  /**
   * @param threads threads of one matrix product on the CPU.
   * @param stepsPerRun steps taken in one run of a graph while as many are left: on a GPU the state crosses the bus once a run.
   */
  static async open(spec: TrainerSpec, threads: number, start: TrainerStart, device: Device = 'cpu', stepsPerRun = device === 'cpu' ? 1 : 16): Promise<OrtTrainer> {
    const architecture = trainableArchitecture(spec.architecture);
    const { bytes, stateNames } = architecture.stepGraph(spec);
    const options = graphOptions(threads, device);
    const session = await InferenceSession.create(bytes, options);
    const several = stepsPerRun > 1 ? { steps: stepsPerRun, session: await InferenceSession.create(multiStepGraph(architecture, spec, stepsPerRun).bytes, options) } : null;
    return new OrtTrainer(spec, session, several, new Evaluation(spec, options), stateNames, start.kind === 'resume' ? start.state : architecture.initialState(spec, start.centre));
  }

  /** See Trainer.steps. */
  async steps(vectors: Float32Array, targets?: Float32Array): Promise<StepStats[]> {
    const { batchSize: B, dIn: D, dOut } = this.#spec;
    checkVectors(this.#spec, vectors, targets, true);
    const stats: StepStats[] = [];
    for (let left = vectors.length / (B * D); left > 0; left = vectors.length / (B * D) - stats.length) {
      const several = this.#several !== null && left >= this.#several.steps && !this.#resamplesWithin(this.#several.steps);
      const [at, n] = [stats.length, several ? this.#several!.steps : 1];
      const x = vectors.subarray(at * B * D, (at + n) * B * D);
      const y = targets?.subarray(at * B * dOut, (at + n) * B * dOut);
      stats.push(...(await this.#run(several ? this.#several!.session : this.#session, n, several, x, y)));
      this.#swap(n);
      if (resampleDue(this.#spec, this.#step)) {
        const resampled = await this.#evaluation.resampled(this.state(), x.subarray((n - 1) * B * D), y?.subarray((n - 1) * B * dOut));
        for (const name of this.#stateNames) (this.#current[name].data as Float32Array).set(resampled.get(name)!.data);
      }
    }
    return stats;
  }

  /** Whether features are resampled before the last of the next n steps. */
  #resamplesWithin(n: number): boolean {
    for (let i = 1; i < n; i++) if (resampleDue(this.#spec, this.#step + i)) return true;
    return false;
  }

  /** n steps; `stacked` when the graph is one of several steps, whose inputs have a dimension of steps in front. */
  async #run(session: InferenceSession, n: number, stacked: boolean, x: Float32Array, y: Float32Array | undefined): Promise<StepStats[]> {
    const { batchSize: B, dIn: D, dOut, architecture } = this.#spec;
    const front = stacked ? [n] : [];
    const feeds: Tensors = { ...this.#current, x: new Tensor('float32', x, [...front, B, D]) };
    if (y !== undefined) feeds['y'] = new Tensor('float32', y, [...front, B, dOut]);
    const scalars = Array.from({ length: n }, (_, i) => trainableArchitecture(architecture).scalars(this.#spec, this.#step + 1 + i));
    for (const name of Object.keys(scalars[0])) feeds[name] = new Tensor('float32', Float32Array.from(scalars, (of) => of[name]), [...front, 1]);
    const out = await session.run(feeds, { ...this.#next, loss: null, mse: null, l0: null, dead: null });
    const [loss, mse, l0, dead] = ['loss', 'mse', 'l0', 'dead'].map((name) => out[name].data as Float32Array);
    return scalars.map((_, i) => ({ loss: loss[i], mse: mse[i], l0: l0[i], dead: dead[i] }));
  }

  /** The written set becomes the current one; names carry `next.` on the written side only. */
  #swap(steps: number): void {
    const current: Tensors = {};
    const next: Tensors = {};
    for (const name of this.#stateNames) {
      current[name] = this.#next[`next.${name}`]!;
      next[`next.${name}`] = this.#current[name]!;
    }
    this.#current = current;
    this.#next = next;
    this.#step += steps;
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
    await this.#several?.session.release();
    await this.#evaluation.close();
  }
}
