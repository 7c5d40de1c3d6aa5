import { resampleDue } from '../../../dictionary/resample.ts';
import { trainableArchitecture } from '../../../dictionary/registry.ts';
import { invariant } from '../../../domain/errors.ts';
import type { TrainerSpec } from '../../../domain/training.ts';
import type { EvaluationSums, StepStats, TrainerStart, TrainerState } from '../../../ports/TrainingEngine.ts';
import { Evaluation } from '../evaluation.ts';
import { sharedMemory } from '../kernels/kernels.ts';
import { Team } from '../kernels/team.ts';
import { graphOptions } from '../ortTrainer.ts';
import { checkVectors } from '../../../training/stepTrainer.ts';
import type { StepTrainer } from '../../../training/stepTrainer.ts';
import { Hand } from './hand.ts';
import { planSparse, sparseShare } from './plan.ts';
import type { SparseSetup } from './plan.ts';
import { SparseStep } from './step.ts';

/** Threads for which memory is reckoned before the trainer's own number is known. */
const SOME_THREADS = 16;

/** Whether SparseTrainer computes this training's steps; the step graph does all others. */
export function sparseSupports(spec: TrainerSpec): boolean {
  const { architecture, nFeatures: F, dIn: D, dOut: O, batchSize: B, hyper } = spec;
  const largest = architecture === 'topk' || architecture === 'batchtopk' || architecture === 'matryoshka';
  if (largest && hyper.k > Math.max(1, F * sparseShare(spec))) return false;
  if (!largest && architecture !== 'tied' && architecture !== 'untied') return false;
  // An entry's place in the batch is one 32-bit number, and so is an address in the kernels' memory.
  const parameters = 3 * (F * (D + (architecture === 'tied' ? 0 : O)) + F + O + (spec.skip ? O * D : 0));
  return B * F < 2 ** 32 && planSparse({ spec, threads: SOME_THREADS, tensors: [['all', parameters + F + 1]] }).bytes < 2 ** 32;
}

/**
 * Training steps on the CPU that pay for active features only: the same states, statistics and updates as the step graph's of
 * src/dictionary, up to rounding. Only pre-activations are computed for all features, a group of features at a time, by
 * onnxruntime; selection, reconstruction, gradients and Adam are the kernels of kernels/assembly. Memory is the state, the
 * batch, its residual and centred copy, the active entries, and fixed rooms a thread (plan.ts), whatever F.
 *
 * Of topk, batchtopk and matryoshka every step is sparse. tied and untied start with half of all codes active, where dense
 * products are faster: each step a sample of the batch decides, so the same state and batch always take the same way. Threads
 * share out tasks whose sizes depend on the spec alone, and what tasks leave is added up in order: the number of threads
 * changes no bit.
 */
export class SparseTrainer implements StepTrainer {
  readonly #spec: TrainerSpec;
  readonly #hand: Hand;
  readonly #team: Team;
  readonly #step: SparseStep;
  readonly #shapes: ReadonlyMap<string, readonly number[]>;
  readonly #evaluation: Evaluation;
  /** Steps taken. */
  #taken: number;

  private constructor(hand: Hand, team: Team, state: TrainerState) {
    const { spec, threads, B, main, auxiliary, lengths } = hand.plan;
    this.#spec = spec;
    this.#hand = hand;
    this.#team = team;
    this.#step = new SparseStep(hand, team);
    this.#shapes = new Map([...lengths.keys()].map((name) => [name, state.get(name)!.shape]));
    this.#evaluation = new Evaluation(spec, graphOptions(threads));
    this.#taken = state.get('step')?.data[0] ?? 0;
    for (const name of lengths.keys()) hand.tensor(name).set(state.get(name)!.data);
    for (const entries of [main, auxiliary]) {
      if (entries !== null) hand.integers(entries.starts, B).forEach((_, r, starts) => (starts[r] = r * entries.capacity));
    }
  }

  /** @param threads threads that work on one step. */
  static async open(spec: TrainerSpec, threads: number, start: TrainerStart): Promise<SparseTrainer> {
    invariant(sparseSupports(spec), `no sparse steps for ${spec.architecture}`);
    const state = start.kind === 'resume' ? start.state : trainableArchitecture(spec.architecture).initialState(spec, start.centre);
    const { stateNames } = trainableArchitecture(spec.architecture).stepGraph(spec);
    const setup: SparseSetup = {
      spec,
      threads,
      tensors: stateNames.map((name) => {
        const tensor = state.get(name);
        invariant(tensor !== undefined, `trainer state has no tensor ${name}`);
        return [name, tensor.data.length];
      }),
    };
    const plan = planSparse(setup);
    const memory = sharedMemory(plan.bytes);
    const team = await Team.open(memory, setup, new URL('./member.ts', import.meta.url), threads);
    const trainer = new SparseTrainer(new Hand(memory, plan, 0), team, state);
    // A start made here is in the shared memory now; the collector would let its large parts lie for long.
    const large = [...state].filter(([name]) => start.kind === 'fresh' && (state.has(`${name}.m`) || /\.[mv]$/.test(name)));
    for (const [, { data }] of large) if (data.buffer instanceof ArrayBuffer) data.buffer.transfer(0);
    return trainer;
  }

  /** Bytes of everything it computes in: state, batch, entries and rooms. */
  get bytes(): number {
    return this.#hand.plan.bytes;
  }

  async steps(vectors: Float32Array, targets?: Float32Array): Promise<StepStats[]> {
    const { B, D, O, x, y } = this.#hand.plan;
    checkVectors(this.#spec, vectors, targets, true);
    const stats: StepStats[] = [];
    for (let at = 0; at < vectors.length / D; at += B) {
      const [batch, batchTargets] = [vectors.subarray(at * D, (at + B) * D), targets?.subarray(at * O, (at + B) * O)];
      this.#hand.floats(x, B * D).set(batch);
      if (batchTargets !== undefined) this.#hand.floats(y, B * O).set(batchTargets);
      stats.push(await this.#step.take(this.#taken + 1));
      this.#taken++;
      if (resampleDue(this.#spec, this.#taken)) {
        const resampled = await this.#evaluation.resampled(this.#view(), batch, batchTargets);
        for (const name of this.#shapes.keys()) this.#hand.tensor(name).set(resampled.get(name)!.data);
      }
    }
    return stats;
  }

  state(): TrainerState {
    return new Map([...this.#view()].map(([name, { shape, data }]) => [name, { shape, data: data.slice() }]));
  }

  /** The state in place, not to be changed. */
  #view(): TrainerState {
    const state = new Map([...this.#shapes].map(([name, shape]) => [name, { shape, data: this.#hand.tensor(name) }]));
    return state.set('step', { shape: [1], data: Float32Array.of(this.#taken) });
  }

  async evaluate(vectors: Float32Array, targets?: Float32Array): Promise<EvaluationSums> {
    checkVectors(this.#spec, vectors, targets, false);
    return (await this.#read(vectors, targets)) ?? this.#evaluation.sums(trainableArchitecture(this.#spec.architecture).parameters(this.#view(), this.#spec), vectors, targets);
  }

  /** `evaluate` by the sparse kernels, a batch at a time, where they can: without the copies and the room of the read graph. */
  async #read(vectors: Float32Array, targets: Float32Array | undefined): Promise<EvaluationSums | null> {
    const { B, D, O, F, x, y } = this.#hand.plan;
    const firings = new Float64Array(F);
    const total = vectors.length / D;
    let squaredError = 0;
    for (let at = 0; at < total; at += B) {
      const n = Math.min(B, total - at);
      this.#hand.floats(x, B * D).fill(0, n * D).set(vectors.subarray(at * D, (at + n) * D));
      if (targets !== undefined) this.#hand.floats(y, B * O).fill(0, n * O).set(targets.subarray(at * O, (at + n) * O));
      const sum = await this.#step.read(n, firings);
      if (sum === false) return null;
      squaredError += sum;
    }
    return { vectors: total, squaredError, firings };
  }

  async close(): Promise<void> {
    await this.#team.close();
    await this.#evaluation.close();
  }
}
