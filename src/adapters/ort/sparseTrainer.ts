import { trainableArchitecture } from '../../dictionary/registry.ts';
import { resampleDue } from '../../dictionary/resample.ts';
import { invariant } from '../../domain/errors.ts';
import type { TrainerSpec } from '../../domain/training.ts';
import type { EvaluationSums, StepStats, TrainerStart, TrainerState } from '../../ports/TrainingEngine.ts';
import { Evaluation } from './evaluation.ts';
import { openKernels, sharedMemory } from './kernels/kernels.ts';
import type { Kernels } from './kernels/kernels.ts';
import { Team } from './kernels/team.ts';
import { graphOptions } from './ortTrainer.ts';
import { PHASE, SCALAR } from './sparseMember.ts';
import { planSparse, SAMPLE } from './sparsePlan.ts';
import type { SparsePlan, SparseSetup } from './sparsePlan.ts';
import { checkVectors } from './stepTrainer.ts';
import type { StepTrainer } from './stepTrainer.ts';

/** Up to this share of active codes sparse kernels beat four dense products, whatever the sizes. */
const MOST_ACTIVE = 1 / 16;

/** Threads for which memory is reckoned before the trainer's own number is known. */
const SOME_THREADS = 16;

/** Whether SparseTrainer computes this training's steps; the step graph does all others. */
export function sparseSupports(spec: TrainerSpec): boolean {
  const { architecture, nFeatures: F, dIn: D, dOut: O, batchSize: B, hyper } = spec;
  const largest = architecture === 'topk' || architecture === 'batchtopk' || architecture === 'matryoshka';
  if (largest && hyper.k > Math.max(1, F * MOST_ACTIVE)) return false;
  if (!largest && ((architecture !== 'tied' && architecture !== 'untied') || hyper.clipNorm > 0)) return false;
  // An entry's place in the batch is one 32-bit number, and so is an address in the kernels' memory.
  const parameters = 3 * (F * (D + (architecture === 'tied' ? 0 : O)) + F + O + (spec.skip ? O * D : 0));
  return B * F < 2 ** 32 && planSparse({ spec, threads: SOME_THREADS, tensors: [['all', parameters + F + 1]] }).bytes < 2 ** 32;
}

/**
 * Training steps on the CPU that pay for active features only: the same states, statistics and updates as the step graph's of
 * src/dictionary, up to rounding. Only pre-activations are computed for all features, a group of features at a time, by
 * onnxruntime; selection, reconstruction, gradients and Adam are the kernels of kernels/assembly. Memory is the state, the
 * batch, its residual and centred copy, the active entries, and fixed rooms a thread (sparsePlan.ts), whatever F.
 *
 * Of topk, batchtopk and matryoshka every step is sparse. tied and untied start with half of all codes active, where dense products are faster: each step a sample of the batch
 * decides, so the same state and batch always take the same way. Threads share out tasks whose sizes depend on the spec alone,
 * and what tasks leave is added up in order: the number of threads changes no bit.
 */
export class SparseTrainer implements StepTrainer {
  readonly #spec: TrainerSpec;
  readonly #plan: SparsePlan;
  readonly #memory: WebAssembly.Memory;
  readonly #team: Team;
  readonly #kernels: Kernels;
  readonly #scalars: Float64Array;
  readonly #shapes: ReadonlyMap<string, readonly number[]>;
  readonly #evaluation: Evaluation;
  #step: number;

  private constructor(setup: SparseSetup, memory: WebAssembly.Memory, team: Team, state: TrainerState) {
    this.#spec = setup.spec;
    this.#plan = planSparse(setup);
    this.#memory = memory;
    this.#team = team;
    this.#kernels = openKernels(memory);
    this.#scalars = new Float64Array(memory.buffer, this.#plan.scalars, 16);
    this.#shapes = new Map(setup.tensors.map(([name]) => [name, state.get(name)!.shape]));
    this.#evaluation = new Evaluation(setup.spec, graphOptions(setup.threads));
    this.#step = state.get('step')?.data[0] ?? 0;
    for (const name of this.#shapes.keys()) this.#tensor(name).set(state.get(name)!.data);
    for (const entries of [this.#plan.main, this.#plan.auxiliary]) {
      if (entries !== null) this.#integers(entries.starts, this.#plan.B).forEach((_, r, starts) => (starts[r] = r * entries.capacity));
    }
  }

  /** @param threads threads that work on one step. */
  static async open(spec: TrainerSpec, threads: number, start: TrainerStart): Promise<SparseTrainer> {
    invariant(sparseSupports(spec), `no sparse steps for ${spec.architecture}`);
    const state = start.kind === 'resume' ? start.state : trainableArchitecture(spec.architecture).initialState(spec, start.centre);
    const setup: SparseSetup = { spec, threads, tensors: [...state].filter(([name]) => name !== 'step').map(([name, { data }]) => [name, data.length]) };
    const memory = sharedMemory(planSparse(setup).bytes);
    const team = await Team.open(memory, setup, new URL('./sparseMember.ts', import.meta.url), threads);
    const trainer = new SparseTrainer(setup, memory, team, state);
    // A start made here is in the shared memory now; the collector would let its large parts lie for long.
    const large = [...state].filter(([name]) => start.kind === 'fresh' && (state.has(`${name}.m`) || /\.[mv]$/.test(name)));
    for (const [, { data }] of large) if (data.buffer instanceof ArrayBuffer) data.buffer.transfer(0);
    return trainer;
  }

  /** Bytes of everything it computes in: state, batch, entries and rooms. */
  get bytes(): number {
    return this.#plan.bytes;
  }

  #floats(address: number, length: number): Float32Array {
    return new Float32Array(this.#memory.buffer, address, length);
  }

  #doubles(address: number, length: number): Float64Array {
    return new Float64Array(this.#memory.buffer, address, length);
  }

  #integers(address: number, length: number): Uint32Array {
    return new Uint32Array(this.#memory.buffer, address, length);
  }

  /** A state tensor, in place. */
  #tensor(name: string): Float32Array {
    return this.#floats(this.#plan.state.get(name)!, this.#shapes.get(name)!.reduce((product, size) => product * size, 1));
  }

  async steps(vectors: Float32Array, targets?: Float32Array): Promise<StepStats[]> {
    const { B, D, O, x, y } = this.#plan;
    checkVectors(this.#spec, vectors, targets, true);
    const stats: StepStats[] = [];
    for (let at = 0; at < vectors.length / D; at += B) {
      this.#floats(x, B * D).set(vectors.subarray(at * D, (at + B) * D));
      if (targets !== undefined) this.#floats(y, B * O).set(targets.subarray(at * O, (at + B) * O));
      stats.push(await this.#takeStep());
      if (resampleDue(this.#spec, this.#step)) {
        const resampled = await this.#evaluation.resampled(this.#view(), vectors.subarray(at * D, (at + B) * D), targets?.subarray(at * O, (at + B) * O));
        for (const name of this.#shapes.keys()) this.#tensor(name).set(resampled.get(name)!.data);
      }
    }
    return stats;
  }

  async #takeStep(): Promise<StepStats> {
    const plan = this.#plan;
    const { B, O, F } = plan;
    const scalars = trainableArchitecture(this.#spec.architecture).scalars(this.#spec, this.#step + 1);
    this.#scalars[SCALAR.stepSize] = scalars['stepSize'];
    this.#scalars[SCALAR.secondCorrection] = scalars['secondCorrection'];
    this.#scalars[SCALAR.sparsity] = scalars['sparsity'] ?? 0;
    this.#scalars[SCALAR.factor] = 1;
    this.#scalars[SCALAR.auxiliary] = 0;
    this.#floats(plan.addend, 1)[0] = (scalars['sparsity'] ?? 0) / B;

    const dense = plan.selection === 'positive' && !(await this.#selectPositive());
    if (plan.selection !== 'positive') await this.#selectLargest(scalars['tracked'] === 1);
    if (dense) await this.#team.run(PHASE.denseForward, plan.blocks);
    else await this.#team.run(PHASE.decode, plan.pieces);
    const means = plan.prefixes.map((_, q) => this.#sum(plan.rowSquares + 8 * q * B, B) / (B * O));
    const mse = means.at(-1)!;
    if (dense) {
      await this.#team.run(PHASE.denseBackward, plan.groups + (this.#spec.skip ? 1 : 0));
    } else {
      await this.#team.run(PHASE.count, plan.threads);
      sortedPlaces(this.#integers(plan.main.totals, F), this.#integers(plan.main.offsets, F + 1), this.#integers(plan.main.cursors, F));
      await this.#team.run(PHASE.fill, plan.threads);
    }
    const fired = dense ? this.#floats(plan.dense!.fired, F) : this.#integers(plan.main.totals, F);
    const { active, dead } = this.#age(fired);
    let loss = total(means) / means.length;
    if (plan.selection === 'positive') loss += ((dense ? total(this.#floats(plan.dense!.codeSums, F)) : this.#codeSum()) * this.#scalars[SCALAR.sparsity]) / B;
    else if (plan.auxiliary !== null && dead > 0) loss += await this.#auxiliary();
    if (!dense) await this.#team.run(PHASE.gradients, plan.groups + (this.#spec.skip ? 1 : 0));
    await this.#update();
    this.#step++;
    return { loss, mse, l0: active / B, dead: dead / F };
  }

  /** All positive codes, or false where they are too many for sparse kernels. */
  async #selectPositive(): Promise<boolean> {
    const { B, F, main, blocks } = this.#plan;
    const counts = this.#integers(main.counts, B);
    const fit = (rows: number): boolean => counts.subarray(0, rows).every((count) => count <= main.capacity);
    const sample = Math.min(B, 2 * SAMPLE);
    await this.#team.run(PHASE.sample, Math.ceil(sample / SAMPLE));
    if (total(counts.subarray(0, sample)) > MOST_ACTIVE * F * sample || !fit(sample)) return false;
    await this.#team.run(PHASE.select, blocks);
    return fit(B);
  }

  async #selectLargest(tracked: boolean): Promise<void> {
    const { B, F, batch, main, threads, blocks } = this.#plan;
    if (batch === null) {
      await this.#team.run(PHASE.select, blocks);
      return;
    }
    const lengths = this.#integers(batch.lengths, threads).fill(0);
    this.#floats(batch.floors, threads).fill(0);
    await this.#team.run(PHASE.select, blocks);
    // The threads' candidates moved together, then cut once: the best of the batch are the best of the threads' best.
    const bytes = new Uint8Array(this.#memory.buffer);
    let candidates = 0;
    for (const [t, length] of lengths.entries()) {
      const from = batch.lists + 8 * t * batch.capacity;
      bytes.copyWithin(batch.lists + 8 * candidates, from, from + 8 * length);
      candidates += length;
    }
    const n = this.#kernels.best(batch.lists, candidates, B * this.#spec.hyper.k);
    this.#kernels.finishBatch(batch.lists, n, batch.scratch, B, F, main.starts, main.counts, main.indices, main.values);
    if (tracked && n > 0) {
      const { thresholdDecay } = this.#spec.hyper;
      const threshold = this.#tensor('threshold');
      const smallest = this.#floats(main.values, n).reduce((least, value) => Math.min(least, value), Infinity);
      threshold[0] = threshold[0] < 0 ? smallest : threshold[0] * thresholdDecay + smallest * (1 - thresholdDecay);
    }
  }

  /** Moves sinceFired on. */
  #age(fired: ArrayLike<number>): { active: number; dead: number } {
    const { B, F } = this.#plan;
    const { deadVectors } = this.#spec.hyper;
    const since = this.#tensor('sinceFired');
    let active = 0;
    let dead = 0;
    for (let j = 0; j < F; j++) {
      active += fired[j];
      since[j] = fired[j] > 0 ? 0 : since[j] + B;
      if (since[j] >= deadVectors) dead++;
    }
    return { active, dead };
  }

  /** auxiliary.ts's loss and the entries its gradients come from. */
  async #auxiliary(): Promise<number> {
    const { B, O, F, auxiliary, blocks, pieces, mean, rowSquares, threads, columnSums, errorSums, prefixes } = this.#plan;
    const { auxCoefficient, deadVectors } = this.#spec.hyper;
    const names = this.#integers(auxiliary!.names, F);
    let dead = 0;
    for (const [j, since] of this.#tensor('sinceFired').entries()) if (since >= deadVectors) names[dead++] = j;
    this.#scalars[SCALAR.dead] = dead;
    this.#scalars[SCALAR.auxiliary] = 1;
    const means = this.#floats(mean, O);
    for (let d = 0; d < O; d++) means[d] = this.#columnSum(prefixes.length > 1 ? errorSums : columnSums, pieces, O, d) / B;
    await this.#team.run(PHASE.spread, pieces);
    const spread = this.#sum(rowSquares, B);
    const scale = spread > 0 ? auxCoefficient / spread : 0;
    this.#scalars[SCALAR.auxFactor] = 2 * scale;
    await this.#team.run(PHASE.auxSelect, blocks);
    await this.#team.run(PHASE.auxDecode, pieces);
    const loss = scale * this.#sum(rowSquares, B);
    await this.#team.run(PHASE.auxCount, threads);
    sortedPlaces(this.#integers(auxiliary!.totals, F), this.#integers(auxiliary!.offsets, F + 1), this.#integers(auxiliary!.cursors, F));
    await this.#team.run(PHASE.auxFill, threads);
    return loss;
  }

  /** What is left when the groups' gradients are known: the output bias and the linear path, clipping, and the groups' update. */
  async #update(): Promise<void> {
    const { D, O, alpha, tied, groups, pieces, columnSums, biasPull, decoderBiasGradient, skipGradient, groupSquares } = this.#plan;
    const { hyper, skip, transcoder } = this.#spec;
    const bias = this.#floats(decoderBiasGradient, tied ? 0 : O);
    for (let d = 0; d < bias.length; d++) {
      bias[d] = alpha * this.#columnSum(columnSums, pieces, O, d) - (transcoder ? 0 : this.#columnSum(biasPull, groups, D, d));
    }
    if (hyper.clipNorm > 0) {
      const squares = this.#sum(groupSquares, groups + (skip ? 1 : 0)) + bias.reduce((sum, value) => sum + value * value, 0);
      this.#scalars[SCALAR.factor] = Math.min(1, hyper.clipNorm / (Math.sqrt(squares) + CLIP_EPSILON));
      await this.#team.run(PHASE.apply, groups);
    }
    if (!tied) this.#adam('decoderBias', decoderBiasGradient);
    if (skip) this.#adam('skip', skipGradient);
  }

  #adam(name: string, gradient: number): void {
    const { state, spec: { hyper } } = this.#plan;
    const [p, m, v] = [name, `${name}.m`, `${name}.v`].map((each) => state.get(each)!);
    const [factor, stepSize, secondCorrection] = [this.#scalars[SCALAR.factor], this.#scalars[SCALAR.stepSize], this.#scalars[SCALAR.secondCorrection]];
    this.#kernels.adam(this.#tensor(name).length, p, gradient, m, v, factor, hyper.beta1, 1 - hyper.beta1, hyper.beta2, 1 - hyper.beta2, hyper.epsilon, stepSize, secondCorrection);
  }

  /** Σ of doubles in order. */
  #sum(address: number, length: number): number {
    return total(this.#doubles(address, length));
  }

  /** Σ over rows of column d of a matrix [rows, columns]. */
  #columnSum(address: number, rows: number, columns: number, d: number): number {
    const matrix = this.#floats(address, rows * columns);
    let sum = 0;
    for (let r = 0; r < rows; r++) sum += matrix[r * columns + d];
    return sum;
  }

  /** Σ of all codes of the batch. */
  #codeSum(): number {
    const { F, alpha, main } = this.#plan;
    return total(this.#floats(main.codes, this.#integers(main.offsets, F + 1)[F])) / alpha;
  }

  state(): TrainerState {
    return new Map([...this.#view()].map(([name, { shape, data }]) => [name, { shape, data: data.slice() }]));
  }

  /** The state in place, not to be changed. */
  #view(): TrainerState {
    const state = new Map([...this.#shapes].map(([name, shape]) => [name, { shape, data: this.#tensor(name) }]));
    return state.set('step', { shape: [1], data: Float32Array.of(this.#step) });
  }

  async evaluate(vectors: Float32Array, targets?: Float32Array): Promise<EvaluationSums> {
    checkVectors(this.#spec, vectors, targets, false);
    return this.#evaluation.sums(trainableArchitecture(this.#spec.architecture).parameters(this.#view(), this.#spec), vectors, targets);
  }

  async close(): Promise<void> {
    await this.#team.close();
    await this.#evaluation.close();
  }
}

/** torch's clip_grad_norm_ adds this to the norm. */
const CLIP_EPSILON = 1e-6;

function total(list: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < list.length; i++) sum += list[i];
  return sum;
}

/** Where each feature's entries begin when they are sorted by feature: offsets [F + 1] and, to be moved on, cursors [F]. */
function sortedPlaces(totals: Uint32Array, offsets: Uint32Array, cursors: Uint32Array): void {
  let at = 0;
  for (let j = 0; j < totals.length; j++) {
    offsets[j] = at;
    cursors[j] = at;
    at += totals[j];
  }
  offsets[totals.length] = at;
}
