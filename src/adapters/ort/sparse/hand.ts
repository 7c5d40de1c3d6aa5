import { NORM_FLOOR } from '../../../dictionary/tied.ts';
import { invariant } from '../../../domain/errors.ts';
import { openKernels } from '../kernels/kernels.ts';
import type { Kernels } from '../kernels/kernels.ts';
import { Products } from '../kernels/products.ts';
import { PIECE } from './plan.ts';
import type { SparsePlan } from './plan.ts';

/** Numbers of a step that its tasks read, as places in the plan's `scalars`. */
export const SCALAR = { stepSize: 0, secondCorrection: 1, sparsity: 2, factor: 3, auxFactor: 4, dead: 5, auxiliary: 6 } as const;

/** What one thread has to do tasks with: the plan's addresses, its own scratch room, kernels and matrix products. */
export class Hand {
  readonly plan: SparsePlan;
  readonly memory: WebAssembly.Memory;
  readonly thread: number;
  readonly scratch: number;
  readonly kernels: Kernels;
  readonly products: Products;
  readonly scalars: Float64Array;

  constructor(memory: WebAssembly.Memory, plan: SparsePlan, thread: number) {
    this.plan = plan;
    this.memory = memory;
    this.thread = thread;
    this.scratch = plan.scratch + thread * plan.scratchBytes;
    this.kernels = openKernels(memory);
    this.products = new Products(memory, plan.alpha);
    this.scalars = new Float64Array(memory.buffer, plan.scalars, 16);
  }

  /** Address of a state tensor. */
  state(name: string): number {
    const address = this.plan.state.get(name);
    invariant(address !== undefined, `no state tensor ${name}`);
    return address;
  }

  /** Zeroes bytes of the shared memory. */
  zero(address: number, bytes: number): void {
    new Uint8Array(this.memory.buffer, address, bytes).fill(0);
  }

  /** Features of group g: the first and how many. */
  group(g: number): readonly [from: number, n: number] {
    const { chunk, F } = this.plan;
    return [g * chunk, Math.min(chunk, F - g * chunk)];
  }

  /** Encoder rows of a group, where they are or (tied) normalised into own room at `room`. */
  encoderRows(from: number, n: number, room: number): number {
    const { D, tied, inverses } = this.plan;
    if (!tied) return this.state('encoder') + 4 * from * D;
    this.kernels.normaliseRows(n, D, this.state('rows') + 4 * from * D, NORM_FLOOR, room, inverses + 4 * from);
    return room;
  }

  /** What the encoder reads of some rows, computed where it is not the batch itself. */
  async prepare(r0: number, rows: number): Promise<void> {
    const { D, O, x, y, input, target, spec } = this.plan;
    if (input !== x) this.kernels.subtractRow(input + 4 * r0 * D, x + 4 * r0 * D, this.state('decoderBias'), rows, D);
    if (target !== y) await this.products.lessABT(y + 4 * r0 * O, [x + 4 * r0 * D, rows, D], [this.state('skip'), O, spec.dIn], target + 4 * r0 * O);
  }

  /** Rows [r0, r0 + n) of a piece. */
  piece(task: number): readonly [r0: number, n: number] {
    return [task * PIECE, Math.min(PIECE, this.plan.B - task * PIECE)];
  }

  /** Where the gradients of group g are: kept, or in own room, to be lost with the next group. */
  gradientsAt(g: number): number {
    const { stored, storedGradients, gradientBytes, backward } = this.plan;
    return g < stored ? storedGradients + g * gradientBytes : this.scratch + backward.gradients;
  }

  floats(address: number, length: number): Float32Array {
    return new Float32Array(this.memory.buffer, address, length);
  }

  doubles(address: number, length: number): Float64Array {
    return new Float64Array(this.memory.buffer, address, length);
  }

  integers(address: number, length: number): Uint32Array {
    return new Uint32Array(this.memory.buffer, address, length);
  }

  /** A state tensor, in place. */
  tensor(name: string): Float32Array {
    return this.floats(this.state(name), this.plan.lengths.get(name)!);
  }
}
