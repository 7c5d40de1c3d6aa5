import { SCALAR } from './hand.ts';
import type { Hand } from './hand.ts';

/** Tasks of the auxiliary loss (src/dictionary/auxiliary.ts), on dead features alone. */

/** The most active dead features of a block of rows, into the auxiliary entries. */
export async function selectDead(hand: Hand, task: number): Promise<void> {
  const { B, D, rowBlock, chunk, forward, auxiliary, spec: { hyper } } = hand.plan;
  const { starts, counts, indices, values, names } = auxiliary!;
  const buffer = hand.memory.buffer;
  const r0 = task * rowBlock;
  const rows = Math.min(rowBlock, B - r0);
  const own = (offset: number): number => hand.scratch + offset;
  const [h, lists, lengths, floors] = [own(forward.h), own(forward.lists), own(forward.lengths), own(forward.floors)];
  const dead = new Uint32Array(buffer, names, hand.scalars[SCALAR.dead]);
  const [floats, encoder, bias] = [new Float32Array(buffer), hand.state('encoder') >> 2, hand.state('encoderBias') >> 2];
  hand.zero(lengths, 4 * rows);
  hand.zero(floors, 4 * rows);
  for (let from = 0; from < dead.length; from += chunk) {
    const n = Math.min(chunk, dead.length - from);
    const [w, b] = [own(forward.weights), own(forward.bias)];
    for (let i = 0; i < n; i++) {
      const j = dead[from + i];
      floats.copyWithin((w >> 2) + i * D, encoder + j * D, encoder + (j + 1) * D);
      floats[(b >> 2) + i] = floats[bias + j];
    }
    await hand.products.affine([hand.plan.input + 4 * r0 * D, rows, D], [w, n, D], b, h);
    hand.kernels.scanRows(h, rows, n, from, hyper.auxK, hand.plan.candidates(hyper.auxK), lists, lengths, floors);
  }
  hand.kernels.finishRows(rows, hyper.auxK, hand.plan.candidates(hyper.auxK), lists, lengths, starts + 4 * r0, counts + 4 * r0, indices, values, names);
}

/** Σ‖e − ē‖² of a piece's rows. */
export function spread(hand: Hand, task: number): void {
  const { O, e, mean, rowSquares } = hand.plan;
  const [r0, n] = hand.piece(task);
  hand.kernels.distances(e + 4 * r0 * O, mean, n, O, rowSquares + 8 * r0);
}

/** u = aW + e and the auxiliary entries' slopes of a piece of rows. */
export function decodeDead(hand: Hand, task: number): void {
  const { O, e, auxiliary, rowSquares } = hand.plan;
  const { u, starts, counts, indices, values, slopes } = auxiliary!;
  const [r0, n] = hand.piece(task);
  const row = 4 * r0 * O;
  const W = hand.state('decoder');
  new Uint8Array(hand.memory.buffer).copyWithin(u + row, e + row, e + row + 4 * n * O);
  hand.kernels.decodeRows(n, O, starts + 4 * r0, counts + 4 * r0, indices, values, W, 0, 0, u + row, rowSquares + 8 * r0);
  hand.kernels.dotRows(n, O, starts + 4 * r0, counts + 4 * r0, indices, W, 0, u + row, hand.scalars[SCALAR.auxFactor], 0, slopes);
}
