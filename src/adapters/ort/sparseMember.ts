import { NORM_FLOOR } from '../../dictionary/tied.ts';
import { invariant } from '../../domain/errors.ts';
import { openKernels } from './kernels/kernels.ts';
import type { Kernels } from './kernels/kernels.ts';
import { Products } from './kernels/products.ts';
import type { Member } from './kernels/team.ts';
import { PIECE, planSparse, SAMPLE } from './sparsePlan.ts';
import type { Entries, SparsePlan, SparseSetup } from './sparsePlan.ts';

/** Phases of a step in the order they come; what a task of each is, SparseMember says. */
export const PHASE = {
  sample: 0, select: 1, decode: 2, count: 3, fill: 4, auxSelect: 5, spread: 6, auxDecode: 7, auxCount: 8, auxFill: 9,
  gradients: 10, apply: 11, denseForward: 12, denseBackward: 13,
} as const;

/** Numbers of a step that its tasks read, as places in the plan's `scalars`. */
export const SCALAR = { stepSize: 0, secondCorrection: 1, sparsity: 2, factor: 3, auxFactor: 4, dead: 5, auxiliary: 6 } as const;

/** Makes a thread's hands; see MemberModule. */
export function openMember(memory: WebAssembly.Memory, setup: SparseSetup, thread: number): Promise<Member> {
  return Promise.resolve(new SparseMember(memory, planSparse(setup), thread));
}

/** The tasks of a sparse training step (sparseTrainer.ts has the whole step). No two tasks of a phase write the same place. */
class SparseMember implements Member {
  readonly #plan: SparsePlan;
  readonly #memory: WebAssembly.Memory;
  readonly #thread: number;
  readonly #scratch: number;
  readonly #kernels: Kernels;
  readonly #products: Products;
  readonly #scalars: Float64Array;

  constructor(memory: WebAssembly.Memory, plan: SparsePlan, thread: number) {
    this.#plan = plan;
    this.#memory = memory;
    this.#thread = thread;
    this.#scratch = plan.scratch + thread * plan.scratchBytes;
    this.#kernels = openKernels(memory);
    this.#products = new Products(memory, plan.alpha);
    this.#scalars = new Float64Array(memory.buffer, plan.scalars, 16);
  }

  close(): Promise<void> {
    return this.#products.close();
  }

  task(phase: number, task: number): Promise<void> | void {
    const { main, auxiliary, rowBlock } = this.#plan;
    switch (phase) {
      case PHASE.sample:
        return this.#select(task * SAMPLE, SAMPLE);
      case PHASE.select:
        return this.#select(task * rowBlock, rowBlock);
      case PHASE.decode:
        return this.#decode(task);
      case PHASE.count:
        return this.#count(main, task);
      case PHASE.fill:
        return this.#fill(main, task, this.#plan.alpha);
      case PHASE.auxSelect:
        return this.#selectDead(task);
      case PHASE.spread:
        return this.#spread(task);
      case PHASE.auxDecode:
        return this.#decodeDead(task);
      case PHASE.auxCount:
        return this.#count(auxiliary!, task);
      case PHASE.auxFill:
        return this.#fill(auxiliary!, task, this.#scalars[SCALAR.auxFactor]);
      case PHASE.gradients:
        return this.#gradients(task);
      case PHASE.apply:
        return this.#apply(task);
      case PHASE.denseForward:
        return this.#denseForward(task);
      case PHASE.denseBackward:
        return this.#denseBackward(task);
      default:
        return invariant(false, `no phase ${phase}`);
    }
  }

  #state(name: string): number {
    const address = this.#plan.state.get(name);
    invariant(address !== undefined, `no state tensor ${name}`);
    return address;
  }

  #zero(address: number, bytes: number): void {
    new Uint8Array(this.#memory.buffer, address, bytes).fill(0);
  }

  /** Features of group g: the first and how many. */
  #group(g: number): readonly [from: number, n: number] {
    const { chunk, F } = this.#plan;
    return [g * chunk, Math.min(chunk, F - g * chunk)];
  }

  /** Encoder rows of a group, where they are or (tied) normalised into own room at `room`. */
  #encoderRows(from: number, n: number, room: number): number {
    const { D, tied, inverses } = this.#plan;
    if (!tied) return this.#state('encoder') + 4 * from * D;
    this.#kernels.normaliseRows(n, D, this.#state('rows') + 4 * from * D, NORM_FLOOR, room, inverses + 4 * from);
    return room;
  }

  /** What the encoder reads of some rows, computed where it is not the batch itself. */
  async #prepare(r0: number, rows: number): Promise<void> {
    const { D, O, x, y, input, target, spec } = this.#plan;
    if (input !== x) this.#kernels.subtractRow(input + 4 * r0 * D, x + 4 * r0 * D, this.#state('decoderBias'), rows, D);
    if (target !== y) await this.#products.lessABT(y + 4 * r0 * O, [x + 4 * r0 * D, rows, D], [this.#state('skip'), O, spec.dIn], target + 4 * r0 * O);
  }

  /** Pre-activations of some rows, group by group, and of them the entries that count. */
  async #select(r0: number, most: number): Promise<void> {
    const { B, D, F, groups, forward, selection, batch, main, tied, spec } = this.#plan;
    const kernels = this.#kernels;
    const rows = Math.min(most, B - r0);
    const own = (offset: number): number => this.#scratch + offset;
    const [h, lists, lengths, floors] = [own(forward.h), own(forward.lists), own(forward.lengths), own(forward.floors)];
    const [starts, counts] = [main.starts + 4 * r0, main.counts + 4 * r0];
    const candidates = this.#plan.candidates(spec.hyper.k);
    await this.#prepare(r0, rows);
    if (selection === 'positive') this.#zero(counts, 4 * rows);
    if (selection === 'rows') this.#zero(lengths, 4 * rows);
    if (selection === 'rows') this.#zero(floors, 4 * rows);
    for (let g = 0; g < groups; g++) {
      const [from, n] = this.#group(g);
      const w = this.#encoderRows(from, n, own(forward.weights));
      await this.#products.affine([this.#plan.input + 4 * r0 * D, rows, D], [w, n, D], this.#state(tied ? 'bias' : 'encoderBias') + 4 * from, h);
      if (selection === 'rows') kernels.scanRows(h, rows, n, from, spec.hyper.k, candidates, lists, lengths, floors);
      else if (selection === 'positive') kernels.scanPositive(h, rows, n, from, main.capacity, starts, counts, main.indices, main.values);
      else kernels.scanBatch(h, rows, n, r0, from, F, B * spec.hyper.k, batch!.capacity, batch!.lists + 8 * this.#thread * batch!.capacity, batch!.lengths + 4 * this.#thread, batch!.floors + 4 * this.#thread);
    }
    if (selection === 'rows') kernels.finishRows(rows, spec.hyper.k, candidates, lists, lengths, starts, counts, main.indices, main.values, 0);
  }

  /** Rows [r0, r0 + n) of a piece. */
  #piece(task: number): readonly [r0: number, n: number] {
    return [task * PIECE, Math.min(PIECE, this.#plan.B - task * PIECE)];
  }

  /** e and the entries' slopes of a piece of rows. */
  #decode(task: number): void {
    const { O, tied, main, errors, target, rowSquares, inverses, columnSums, B, alpha, prefixes } = this.#plan;
    if (prefixes.length > 1) {
      this.#decodePrefixes(task);
      return;
    }
    const kernels = this.#kernels;
    const [r0, n] = this.#piece(task);
    const [starts, counts, row] = [main.starts + 4 * r0, main.counts + 4 * r0, 4 * r0 * O];
    const W = this.#state(tied ? 'rows' : 'decoder');
    const bias = tied ? 0 : this.#state('decoderBias');
    // The tied decoder is rows/norm: the norm goes to the coefficients, which stand where the slopes will.
    if (tied) kernels.scaleEntries(n, starts, counts, main.indices, main.values, inverses, main.slopes);
    kernels.decodeRows(n, O, starts, counts, main.indices, tied ? main.slopes : main.values, W, bias, target + row, errors + row, rowSquares + 8 * r0);
    kernels.dotRows(n, O, starts, counts, main.indices, W, tied ? inverses : 0, errors + row, alpha, this.#scalars[SCALAR.sparsity] / B, main.slopes);
    if (!tied) kernels.columnSums(errors + row, n, O, columnSums + 4 * task * O);
  }

  /** The same for matryoshka: each prefix goes on from the one before, and what a group's features feel is the sum from theirs on. */
  #decodePrefixes(task: number): void {
    const { O, B, main, errors, target, rowSquares, columnSums, errorSums, alpha, prefixes, forward } = this.#plan;
    const kernels = this.#kernels;
    const bytes = new Uint8Array(this.#memory.buffer);
    const [r0, n] = this.#piece(task);
    const W = this.#state('decoder');
    const error = (q: number): number => errors + 4 * (q * B + r0) * O;
    const [starts, counts] = [this.#scratch + forward.lengths, this.#scratch + forward.floors];
    const part = (q: number): void => kernels.partOfRows(n, main.starts + 4 * r0, main.counts + 4 * r0, main.indices, prefixes[q - 1] ?? 0, prefixes[q], starts, counts);
    prefixes.forEach((_, q) => {
      part(q);
      if (q > 0) bytes.copyWithin(error(q), error(q - 1), error(q - 1) + 4 * n * O);
      kernels.decodeRows(n, O, starts, counts, main.indices, main.values, W, this.#state('decoderBias'), q === 0 ? target + 4 * r0 * O : 0, error(q), rowSquares + 8 * (q * B + r0));
    });
    kernels.columnSums(error(prefixes.length - 1), n, O, errorSums + 4 * task * O);
    for (let q = prefixes.length - 1; q >= 0; q--) {
      if (q < prefixes.length - 1) kernels.axpy(error(q), error(q + 1), 1, n * O);
      part(q);
      kernels.dotRows(n, O, starts, counts, main.indices, W, 0, error(q), alpha, 0, main.slopes);
    }
    kernels.columnSums(error(0), n, O, columnSums + 4 * task * O);
  }

  /** Features [from, to) of one of as many shares as there are threads. */
  #share(task: number): readonly [from: number, to: number] {
    const { F, threads } = this.#plan;
    return [Math.floor((task * F) / threads), Math.floor(((task + 1) * F) / threads)];
  }

  #count({ starts, counts, indices, totals }: Entries, task: number): void {
    this.#kernels.countFeatures(this.#plan.B, starts, counts, indices, ...this.#share(task), totals);
  }

  #fill({ starts, counts, indices, values, slopes, cursors, rows, codes, rises }: Entries, task: number, alpha: number): void {
    this.#kernels.fillFeatures(this.#plan.B, starts, counts, indices, values, slopes, ...this.#share(task), alpha, cursors, rows, codes, rises);
  }

  /** The most active dead features of a block of rows, into the auxiliary entries. */
  async #selectDead(task: number): Promise<void> {
    const { B, D, rowBlock, chunk, forward, auxiliary, spec: { hyper } } = this.#plan;
    const { starts, counts, indices, values, names } = auxiliary!;
    const buffer = this.#memory.buffer;
    const r0 = task * rowBlock;
    const rows = Math.min(rowBlock, B - r0);
    const own = (offset: number): number => this.#scratch + offset;
    const [h, lists, lengths, floors] = [own(forward.h), own(forward.lists), own(forward.lengths), own(forward.floors)];
    const dead = new Uint32Array(buffer, names, this.#scalars[SCALAR.dead]);
    const [floats, encoder, bias] = [new Float32Array(buffer), this.#state('encoder') >> 2, this.#state('encoderBias') >> 2];
    this.#zero(lengths, 4 * rows);
    this.#zero(floors, 4 * rows);
    for (let from = 0; from < dead.length; from += chunk) {
      const n = Math.min(chunk, dead.length - from);
      const [w, b] = [own(forward.weights), own(forward.bias)];
      for (let i = 0; i < n; i++) {
        const j = dead[from + i];
        floats.copyWithin((w >> 2) + i * D, encoder + j * D, encoder + (j + 1) * D);
        floats[(b >> 2) + i] = floats[bias + j];
      }
      await this.#products.affine([this.#plan.input + 4 * r0 * D, rows, D], [w, n, D], b, h);
      this.#kernels.scanRows(h, rows, n, from, hyper.auxK, this.#plan.candidates(hyper.auxK), lists, lengths, floors);
    }
    this.#kernels.finishRows(rows, hyper.auxK, this.#plan.candidates(hyper.auxK), lists, lengths, starts + 4 * r0, counts + 4 * r0, indices, values, names);
  }

  /** Σ‖e − ē‖² of a piece's rows. */
  #spread(task: number): void {
    const { O, e, mean, rowSquares } = this.#plan;
    const [r0, n] = this.#piece(task);
    this.#kernels.distances(e + 4 * r0 * O, mean, n, O, rowSquares + 8 * r0);
  }

  /** u = aW + e and the auxiliary entries' slopes of a piece of rows. */
  #decodeDead(task: number): void {
    const { O, e, auxiliary, rowSquares } = this.#plan;
    const { u, starts, counts, indices, values, slopes } = auxiliary!;
    const [r0, n] = this.#piece(task);
    const row = 4 * r0 * O;
    const W = this.#state('decoder');
    new Uint8Array(this.#memory.buffer).copyWithin(u + row, e + row, e + row + 4 * n * O);
    this.#kernels.decodeRows(n, O, starts + 4 * r0, counts + 4 * r0, indices, values, W, 0, 0, u + row, rowSquares + 8 * r0);
    this.#kernels.dotRows(n, O, starts + 4 * r0, counts + 4 * r0, indices, W, 0, u + row, this.#scalars[SCALAR.auxFactor], 0, slopes);
  }

  /** Where the gradients of group g are: kept, or in own room, to be lost with the next group. */
  #gradientsAt(g: number): number {
    const { stored, storedGradients, gradientBytes, backward } = this.#plan;
    return g < stored ? storedGradients + g * gradientBytes : this.#scratch + backward.gradients;
  }

  /** The gradients of a group's rows (and decoder rows behind them), from the sorted entries. */
  #gather(g: number): void {
    const { B, D, O, tied, main, auxiliary, input, e, errors, prefixes, inverses } = this.#plan;
    const kernels = this.#kernels;
    const [from, n] = this.#group(g);
    const out = this.#gradientsAt(g);
    const to = from + n;
    if (tied) {
      kernels.gatherFeatures(from, to, D, main.offsets, main.rows, main.codes, e, out, 0);
      kernels.gatherFeatures(from, to, D, main.offsets, main.rows, main.rises, input, out, 1);
      kernels.throughNorm(n, D, this.#state('rows') + 4 * from * D, inverses + 4 * from, NORM_FLOOR, out);
      return;
    }
    const decoder = out + 4 * n * D;
    kernels.gatherFeatures(from, to, D, main.offsets, main.rows, main.rises, input, out, 0);
    for (let q = 0, at = from; at < to; q++) {
      const end = Math.min(to, prefixes[q]);
      if (end > at) kernels.gatherFeatures(at, end, O, main.offsets, main.rows, main.codes, errors + 4 * q * B * O, decoder + 4 * (at - from) * O, 0);
      at = Math.max(at, end);
    }
    if (auxiliary !== null && this.#scalars[SCALAR.auxiliary] === 1) {
      kernels.gatherFeatures(from, to, D, auxiliary.offsets, auxiliary.rows, auxiliary.rises, input, out, 1);
      kernels.gatherFeatures(from, to, O, auxiliary.offsets, auxiliary.rows, auxiliary.codes, auxiliary.u, decoder, 1);
    }
    kernels.removeParallel(n, O, this.#state('decoder') + 4 * from * O, decoder);
  }

  /** A group's gradients and their share of the norm; with nothing to clip its update as well. The last group: the linear path. */
  async #gradients(g: number): Promise<void> {
    const { D, O, tied, groups, main, auxiliary, biasGradient, biasPull, groupSquares, input, errors, skipGradient, spec } = this.#plan;
    const kernels = this.#kernels;
    const squares = new Float64Array(this.#memory.buffer, groupSquares, groups + 1);
    if (g === groups) {
      await this.#products.outer([errors, this.#plan.B, O], [this.#plan.x, this.#plan.B, D], skipGradient);
      squares[g] = kernels.sumSquares(O, D, skipGradient);
      return;
    }
    const [from, n] = this.#group(g);
    kernels.sumFeatures(from, from + n, main.offsets, main.rises, biasGradient, 0);
    if (auxiliary !== null && this.#scalars[SCALAR.auxiliary] === 1) kernels.sumFeatures(from, from + n, auxiliary.offsets, auxiliary.rises, biasGradient, 1);
    if (input !== this.#plan.x) kernels.weightedSum(n, D, biasGradient + 4 * from, this.#state('encoder') + 4 * from * D, biasPull + 4 * g * D);
    this.#gather(g);
    if (spec.hyper.clipNorm === 0) {
      this.#update(g);
      return;
    }
    const out = this.#gradientsAt(g);
    squares[g] = kernels.sumSquares(1, n, biasGradient + 4 * from) + kernels.sumSquares(n, D, out) + (tied ? 0 : kernels.sumSquares(n, O, out + 4 * n * D));
  }

  /** The update of a group whose clipped norm is known. */
  #apply(g: number): void {
    if (g >= this.#plan.stored) this.#gather(g);
    this.#update(g);
  }

  /** Adam on a group's parameters. */
  #update(g: number): void {
    const { D, O, tied, biasGradient, spec: { hyper } } = this.#plan;
    const kernels = this.#kernels;
    const [from, n] = this.#group(g);
    const out = this.#gradientsAt(g);
    const [factor, stepSize, secondCorrection] = [this.#scalars[SCALAR.factor], this.#scalars[SCALAR.stepSize], this.#scalars[SCALAR.secondCorrection]];
    const settings = [factor, hyper.beta1, 1 - hyper.beta1, hyper.beta2, 1 - hyper.beta2, hyper.epsilon, stepSize, secondCorrection] as const;
    const at = (name: string, width: number): readonly [number, number, number] => [this.#state(name) + 4 * from * width, this.#state(`${name}.m`) + 4 * from * width, this.#state(`${name}.v`) + 4 * from * width];
    const [p, m, v] = at(tied ? 'rows' : 'encoder', D);
    kernels.adam(n * D, p, out, m, v, ...settings);
    const [b, bm, bv] = at(tied ? 'bias' : 'encoderBias', 1);
    kernels.adam(n, b, biasGradient + 4 * from, bm, bv, ...settings);
    if (tied) return;
    const [w, wm, wv] = at('decoder', O);
    kernels.adamUnitRows(n, O, w, out + 4 * n * D, wm, wv, ...settings, NORM_FLOOR);
  }

  /** Dense codes of a block of rows, as many as are kept, and e. */
  async #denseForward(task: number): Promise<void> {
    const { B, D, O, rowBlock, groups, chunk, forward, dense, input, target, e, tied, rowSquares, columnSums } = this.#plan;
    const r0 = task * rowBlock;
    const rows = Math.min(rowBlock, B - r0);
    await this.#prepare(r0, rows);
    const row = e + 4 * r0 * O;
    const nothing = this.#scratch + forward.lengths;
    this.#zero(nothing, 4 * rows);
    const none = [nothing, nothing, nothing, nothing] as const; // no entries: e = bias − target
    for (let r = 0; r < rows; r++) this.#kernels.decodeRows(1, O, ...none, 0, tied ? 0 : this.#state('decoderBias'), target + 4 * (r0 + r) * O, row + 4 * r * O, rowSquares + 8 * (r0 + r));
    for (let g = 0; g < groups; g++) {
      const [from, n] = this.#group(g);
      const w = this.#encoderRows(from, n, this.#scratch + forward.weights);
      const codes = g < dense!.kept ? dense!.codes + 4 * (B * g * chunk + r0 * n) : this.#scratch + forward.h;
      await this.#products.affineRelu([input + 4 * r0 * D, rows, D], [w, n, D], this.#state(tied ? 'bias' : 'encoderBias') + 4 * from, codes);
      await this.#products.accumulate([codes, rows, n], [tied ? w : this.#state('decoder') + 4 * from * O, n, O], row);
    }
    for (let r = 0; r < rows; r++) new Float64Array(this.#memory.buffer, rowSquares, B)[r0 + r] = this.#kernels.sumSquares(1, O, row + 4 * r * O);
    if (!tied) for (let at = 0; at < rows; at += PIECE) this.#kernels.columnSums(row + 4 * at * O, Math.min(PIECE, rows - at), O, columnSums + (4 * (r0 + at) * O) / PIECE);
  }

  /** Dense gradients of a group, and its update: nothing is clipped here (see sparseSupports). */
  async #denseBackward(g: number): Promise<void> {
    const { B, D, O, chunk, backward, dense, input, e, tied, addend, inverses, biasGradient, biasPull, skipGradient, groups } = this.#plan;
    const kernels = this.#kernels;
    if (g === groups) {
      await this.#products.outer([e, B, O], [this.#plan.x, B, D], skipGradient);
      return;
    }
    const [from, n] = this.#group(g);
    const w = this.#encoderRows(from, n, this.#scratch + backward.weights);
    let codes = dense!.codes + 4 * B * g * chunk;
    if (g >= dense!.kept) {
      codes = this.#scratch + backward.codes;
      await this.#products.affineRelu([input, B, D], [w, n, D], this.#state(tied ? 'bias' : 'encoderBias') + 4 * from, codes);
    }
    const slopes = this.#scratch + backward.slopes;
    await this.#products.slopes([e, B, O], [tied ? w : this.#state('decoder') + 4 * from * O, n, O], addend, slopes);
    const sums = [dense!.fired + 4 * from, biasGradient + 4 * from, dense!.codeSums + 4 * from] as const;
    for (const sum of sums) this.#zero(sum, 4 * n);
    kernels.maskSlopes(codes, slopes, B, n, ...sums);
    const out = this.#gradientsAt(g);
    if (tied) {
      await this.#products.outer([codes, B, n], [e, B, O], out);
      await this.#products.outerAdd([slopes, B, n], [input, B, D], out);
      kernels.throughNorm(n, D, this.#state('rows') + 4 * from * D, inverses + 4 * from, NORM_FLOOR, out);
    } else {
      const decoder = out + 4 * n * D;
      this.#zero(out, 4 * n * D);
      await this.#products.outerAdd([slopes, B, n], [input, B, D], out);
      await this.#products.outer([codes, B, n], [e, B, O], decoder);
      kernels.removeParallel(n, O, this.#state('decoder') + 4 * from * O, decoder);
      if (input !== this.#plan.x) kernels.weightedSum(n, D, biasGradient + 4 * from, this.#state('encoder') + 4 * from * D, biasPull + 4 * g * D);
    }
    this.#update(g);
  }
}
