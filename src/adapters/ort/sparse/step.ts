import { trainableArchitecture } from '../../../dictionary/registry.ts';
import type { TrainerSpec } from '../../../domain/training.ts';
import type { StepStats } from '../../../ports/TrainingEngine.ts';
import type { Team } from '../kernels/team.ts';
import { SCALAR } from './hand.ts';
import type { Hand } from './hand.ts';
import { PHASES } from './member.ts';
import type { Phase } from './member.ts';
import { SAMPLE, sparseShare } from './plan.ts';
import type { SparsePlan } from './plan.ts';

/** The phases of a step and what lies between them: the leading thread's part. */
export class SparseStep {
  readonly #hand: Hand;
  readonly #team: Team;
  readonly #plan: SparsePlan;
  readonly #spec: TrainerSpec;
  readonly #scalars: Float64Array;

  constructor(hand: Hand, team: Team) {
    this.#hand = hand;
    this.#team = team;
    this.#plan = hand.plan;
    this.#spec = hand.plan.spec;
    this.#scalars = hand.scalars;
  }

  #run(phase: Phase, tasks: number): Promise<void> {
    return this.#team.run(PHASES.indexOf(phase), tasks);
  }

  /** Takes step number `step` (from 1) on the batch that lies in the shared memory. */
  async take(step: number): Promise<StepStats> {
    const plan = this.#plan;
    const { B, O, F } = plan;
    const scalars = trainableArchitecture(this.#spec.architecture).scalars(this.#spec, step);
    this.#scalars[SCALAR.stepSize] = scalars['stepSize'];
    this.#scalars[SCALAR.secondCorrection] = scalars['secondCorrection'];
    this.#scalars[SCALAR.sparsity] = scalars['sparsity'] ?? 0;
    this.#scalars[SCALAR.factor] = 1;
    this.#scalars[SCALAR.auxiliary] = 0;
    this.#hand.floats(plan.addend, 1)[0] = (scalars['sparsity'] ?? 0) / B;

    const dense = plan.selection === 'positive' && !(await this.#selectPositive());
    if (plan.selection !== 'positive') await this.#selectLargest(scalars['tracked'] === 1);
    if (dense) await this.#run('denseForward', plan.blocks);
    else await this.#run('decode', plan.pieces);
    const means = plan.prefixes.map((_, q) => this.#sum(plan.rowSquares + 8 * q * B, B) / (B * O));
    const mse = means.at(-1)!;
    if (dense) {
      await this.#run('denseBackward', plan.groups + (this.#spec.skip ? 1 : 0));
    } else {
      await this.#run('count', plan.threads);
      sortedPlaces(this.#hand.integers(plan.main.totals, F), this.#hand.integers(plan.main.offsets, F + 1), this.#hand.integers(plan.main.cursors, F));
      await this.#run('fill', plan.threads);
    }
    const fired = dense ? this.#hand.floats(plan.dense!.fired, F) : this.#hand.integers(plan.main.totals, F);
    const { active, dead } = this.#age(fired);
    let loss = total(means) / means.length;
    if (plan.selection === 'positive') loss += ((dense ? total(this.#hand.floats(plan.dense!.codeSums, F)) : this.#codeSum()) * this.#scalars[SCALAR.sparsity]) / B;
    else if (plan.auxiliary !== null && dead > 0) loss += await this.#auxiliary();
    if (!dense) await this.#run('gradients', plan.groups + (this.#spec.skip ? 1 : 0));
    await this.#update();
    return { loss, mse, l0: active / B, dead: dead / F };
  }

  /**
   * Reads the first n rows of the batch that lies in the shared memory, changing no state: Σ‖e‖², and adds to `firings`. False
   * where the dictionary is not read as a sparse step computes codes: where they are many, and with a running threshold.
   */
  async read(n: number, firings: Float64Array): Promise<number | false> {
    const { B, F, selection, main, pieces, threads, rowSquares, blocks } = this.#plan;
    if (selection === 'batch' || (selection === 'positive' && !(await this.#selectPositive()))) return false;
    if (selection === 'rows') await this.#run('select', blocks);
    await this.#run('decode', pieces);
    this.#hand.integers(main.counts, B).fill(0, n);
    await this.#run('count', threads);
    const fired = this.#hand.integers(main.totals, F);
    for (let j = 0; j < F; j++) firings[j] += fired[j];
    return this.#sum(rowSquares, n);
  }

  /** All positive codes, or false where they are too many for sparse kernels. */
  async #selectPositive(): Promise<boolean> {
    const { B, F, main, blocks } = this.#plan;
    const counts = this.#hand.integers(main.counts, B);
    const fit = (rows: number): boolean => counts.subarray(0, rows).every((count) => count <= main.capacity);
    const sample = Math.min(B, 2 * SAMPLE);
    await this.#run('sample', Math.ceil(sample / SAMPLE));
    if (total(counts.subarray(0, sample)) > sparseShare(this.#spec) * F * sample || !fit(sample)) return false;
    await this.#run('select', blocks);
    return fit(B);
  }

  async #selectLargest(tracked: boolean): Promise<void> {
    const { B, F, batch, main, threads, blocks } = this.#plan;
    if (batch === null) {
      await this.#run('select', blocks);
      return;
    }
    const lengths = this.#hand.integers(batch.lengths, threads).fill(0);
    this.#hand.floats(batch.floors, threads).fill(0);
    await this.#run('select', blocks);
    // The threads' candidates moved together, then cut once: the best of the batch are the best of the threads' best.
    const bytes = new Uint8Array(this.#hand.memory.buffer);
    let candidates = 0;
    for (const [t, length] of lengths.entries()) {
      const from = batch.lists + 8 * t * batch.capacity;
      bytes.copyWithin(batch.lists + 8 * candidates, from, from + 8 * length);
      candidates += length;
    }
    const n = this.#hand.kernels.best(batch.lists, candidates, B * this.#spec.hyper.k);
    this.#hand.kernels.finishBatch(batch.lists, n, batch.scratch, B, F, main.starts, main.counts, main.indices, main.values);
    if (tracked && n > 0) {
      const { thresholdDecay } = this.#spec.hyper;
      const threshold = this.#hand.tensor('threshold');
      const smallest = this.#hand.floats(main.values, n).reduce((least, value) => Math.min(least, value), Infinity);
      threshold[0] = threshold[0] < 0 ? smallest : threshold[0] * thresholdDecay + smallest * (1 - thresholdDecay);
    }
  }

  /** Moves sinceFired on. */
  #age(fired: ArrayLike<number>): { active: number; dead: number } {
    const { B, F } = this.#plan;
    const { deadVectors } = this.#spec.hyper;
    const since = this.#hand.tensor('sinceFired');
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
    const names = this.#hand.integers(auxiliary!.names, F);
    let dead = 0;
    for (const [j, since] of this.#hand.tensor('sinceFired').entries()) if (since >= deadVectors) names[dead++] = j;
    this.#scalars[SCALAR.dead] = dead;
    this.#scalars[SCALAR.auxiliary] = 1;
    const means = this.#hand.floats(mean, O);
    for (let d = 0; d < O; d++) means[d] = this.#columnSum(prefixes.length > 1 ? errorSums : columnSums, pieces, O, d) / B;
    await this.#run('spread', pieces);
    const spread = this.#sum(rowSquares, B);
    const scale = spread > 0 ? auxCoefficient / spread : 0;
    this.#scalars[SCALAR.auxFactor] = 2 * scale;
    await this.#run('auxSelect', blocks);
    await this.#run('auxDecode', pieces);
    const loss = scale * this.#sum(rowSquares, B);
    await this.#run('auxCount', threads);
    sortedPlaces(this.#hand.integers(auxiliary!.totals, F), this.#hand.integers(auxiliary!.offsets, F + 1), this.#hand.integers(auxiliary!.cursors, F));
    await this.#run('auxFill', threads);
    return loss;
  }

  /** What is left when the groups' gradients are known: the output bias and the linear path, clipping, and the groups' update. */
  async #update(): Promise<void> {
    const { D, O, alpha, tied, groups, pieces, columnSums, biasPull, decoderBiasGradient, skipGradient, groupSquares } = this.#plan;
    const { hyper, skip, transcoder } = this.#spec;
    const bias = this.#hand.floats(decoderBiasGradient, tied ? 0 : O);
    for (let d = 0; d < bias.length; d++) {
      bias[d] = alpha * this.#columnSum(columnSums, pieces, O, d) - (transcoder ? 0 : this.#columnSum(biasPull, groups, D, d));
    }
    if (hyper.clipNorm > 0) {
      const squares = this.#sum(groupSquares, groups + (skip ? 1 : 0)) + bias.reduce((sum, value) => sum + value * value, 0);
      this.#scalars[SCALAR.factor] = Math.min(1, hyper.clipNorm / (Math.sqrt(squares) + CLIP_EPSILON));
      await this.#run('apply', groups);
    }
    if (!tied) this.#adam('decoderBias', decoderBiasGradient);
    if (skip) this.#adam('skip', skipGradient);
  }

  #adam(name: string, gradient: number): void {
    const { state, spec: { hyper } } = this.#plan;
    const [p, m, v] = [name, `${name}.m`, `${name}.v`].map((each) => state.get(each)!);
    const [factor, stepSize, secondCorrection] = [this.#scalars[SCALAR.factor], this.#scalars[SCALAR.stepSize], this.#scalars[SCALAR.secondCorrection]];
    this.#hand.kernels.adam(this.#hand.tensor(name).length, p, gradient, m, v, factor, hyper.beta1, 1 - hyper.beta1, hyper.beta2, 1 - hyper.beta2, hyper.epsilon, stepSize, secondCorrection);
  }

  /** Σ of doubles in order. */
  #sum(address: number, length: number): number {
    return total(this.#hand.doubles(address, length));
  }

  /** Σ over rows of column d of a matrix [rows, columns]. */
  #columnSum(address: number, rows: number, columns: number, d: number): number {
    const matrix = this.#hand.floats(address, rows * columns);
    let sum = 0;
    for (let r = 0; r < rows; r++) sum += matrix[r * columns + d];
    return sum;
  }

  /** Σ of all codes of the batch. */
  #codeSum(): number {
    const { F, alpha, main } = this.#plan;
    return total(this.#hand.floats(main.codes, this.#hand.integers(main.offsets, F + 1)[F])) / alpha;
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
