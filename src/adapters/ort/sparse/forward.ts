import { SCALAR } from './hand.ts';
import type { Hand } from './hand.ts';

/** Forward tasks of a sparse step: which codes are active, what they reconstruct, and what each one's slope is. */

/** Pre-activations of some rows, group by group, and of them the entries that count. */
export async function select(hand: Hand, r0: number, most: number): Promise<void> {
  const { B, D, F, groups, forward, selection, batch, main, tied, spec } = hand.plan;
  const kernels = hand.kernels;
  const rows = Math.min(most, B - r0);
  const own = (offset: number): number => hand.scratch + offset;
  const [h, lists, lengths, floors] = [own(forward.h), own(forward.lists), own(forward.lengths), own(forward.floors)];
  const [starts, counts] = [main.starts + 4 * r0, main.counts + 4 * r0];
  const candidates = hand.plan.candidates(spec.hyper.k);
  await hand.prepare(r0, rows);
  if (selection === 'positive') hand.zero(counts, 4 * rows);
  if (selection === 'rows') hand.zero(lengths, 4 * rows);
  if (selection === 'rows') hand.zero(floors, 4 * rows);
  for (let g = 0; g < groups; g++) {
    const [from, n] = hand.group(g);
    const w = hand.encoderRows(from, n, own(forward.weights));
    await hand.products.affine([hand.plan.input + 4 * r0 * D, rows, D], [w, n, D], hand.state(tied ? 'bias' : 'encoderBias') + 4 * from, h);
    if (selection === 'rows') kernels.scanRows(h, rows, n, from, spec.hyper.k, candidates, lists, lengths, floors);
    else if (selection === 'positive') kernels.scanPositive(h, rows, n, from, main.capacity, starts, counts, main.indices, main.values);
    else kernels.scanBatch(h, rows, n, r0, from, F, B * spec.hyper.k, batch!.capacity, batch!.lists + 8 * hand.thread * batch!.capacity, batch!.lengths + 4 * hand.thread, batch!.floors + 4 * hand.thread);
  }
  if (selection === 'rows') kernels.finishRows(rows, spec.hyper.k, candidates, lists, lengths, starts, counts, main.indices, main.values, 0);
}

/** e and the entries' slopes of a piece of rows. */
export function decode(hand: Hand, task: number): void {
  const { O, tied, main, errors, target, rowSquares, inverses, columnSums, B, alpha, prefixes } = hand.plan;
  if (prefixes.length > 1) {
    decodePrefixes(hand, task);
    return;
  }
  const kernels = hand.kernels;
  const [r0, n] = hand.piece(task);
  const [starts, counts, row] = [main.starts + 4 * r0, main.counts + 4 * r0, 4 * r0 * O];
  const W = hand.state(tied ? 'rows' : 'decoder');
  const bias = tied ? 0 : hand.state('decoderBias');
  // The tied decoder is rows/norm: the norm goes to the coefficients, which stand where the slopes will.
  if (tied) kernels.scaleEntries(n, starts, counts, main.indices, main.values, inverses, main.slopes);
  kernels.decodeRows(n, O, starts, counts, main.indices, tied ? main.slopes : main.values, W, bias, target + row, errors + row, rowSquares + 8 * r0);
  kernels.dotRows(n, O, starts, counts, main.indices, W, tied ? inverses : 0, errors + row, alpha, hand.scalars[SCALAR.sparsity] / B, main.slopes);
  if (!tied) kernels.columnSums(errors + row, n, O, columnSums + 4 * task * O);
}

/** The same for matryoshka: each prefix goes on from the one before, and what a group's features feel is the sum from theirs on. */
function decodePrefixes(hand: Hand, task: number): void {
  const { O, B, main, errors, target, rowSquares, columnSums, errorSums, alpha, prefixes, forward } = hand.plan;
  const kernels = hand.kernels;
  const bytes = new Uint8Array(hand.memory.buffer);
  const [r0, n] = hand.piece(task);
  const W = hand.state('decoder');
  const error = (q: number): number => errors + 4 * (q * B + r0) * O;
  const [starts, counts] = [hand.scratch + forward.lengths, hand.scratch + forward.floors];
  const part = (q: number): void => kernels.partOfRows(n, main.starts + 4 * r0, main.counts + 4 * r0, main.indices, prefixes[q - 1] ?? 0, prefixes[q], starts, counts);
  prefixes.forEach((_, q) => {
    part(q);
    if (q > 0) bytes.copyWithin(error(q), error(q - 1), error(q - 1) + 4 * n * O);
    kernels.decodeRows(n, O, starts, counts, main.indices, main.values, W, hand.state('decoderBias'), q === 0 ? target + 4 * r0 * O : 0, error(q), rowSquares + 8 * (q * B + r0));
  });
  kernels.columnSums(error(prefixes.length - 1), n, O, errorSums + 4 * task * O);
  for (let q = prefixes.length - 1; q >= 0; q--) {
    if (q < prefixes.length - 1) kernels.axpy(error(q), error(q + 1), 1, n * O);
    part(q);
    kernels.dotRows(n, O, starts, counts, main.indices, W, 0, error(q), alpha, 0, main.slopes);
  }
  kernels.columnSums(error(0), n, O, columnSums + 4 * task * O);
}
