import { NORM_FLOOR } from '../../../dictionary/tied.ts';
import { settle } from './backward.ts';
import type { Hand } from './hand.ts';
import { PIECE } from './plan.ts';

/** The tasks of a step whose codes are too many for sparse kernels: five dense products, a group of features at a time. */

/** Dense codes of a block of rows, as many as are kept, and e. */
export async function denseForward(hand: Hand, task: number): Promise<void> {
  const { B, D, O, rowBlock, groups, chunk, forward, dense, input, target, e, tied, rowSquares, columnSums } = hand.plan;
  const r0 = task * rowBlock;
  const rows = Math.min(rowBlock, B - r0);
  await hand.prepare(r0, rows);
  const row = e + 4 * r0 * O;
  const nothing = hand.scratch + forward.lengths;
  hand.zero(nothing, 4 * rows);
  const none = [nothing, nothing, nothing, nothing] as const; // no entries: e = bias − target
  for (let r = 0; r < rows; r++) hand.kernels.decodeRows(1, O, ...none, 0, tied ? 0 : hand.state('decoderBias'), target + 4 * (r0 + r) * O, row + 4 * r * O, rowSquares + 8 * (r0 + r));
  for (let g = 0; g < groups; g++) {
    const [from, n] = hand.group(g);
    const w = hand.encoderRows(from, n, hand.scratch + forward.weights);
    const codes = g < dense!.kept ? dense!.codes + 4 * (B * g * chunk + r0 * n) : hand.scratch + forward.h;
    await hand.products.affineRelu([input + 4 * r0 * D, rows, D], [w, n, D], hand.state(tied ? 'bias' : 'encoderBias') + 4 * from, codes);
    await hand.products.accumulate([codes, rows, n], [tied ? w : hand.state('decoder') + 4 * from * O, n, O], row);
  }
  for (let r = 0; r < rows; r++) new Float64Array(hand.memory.buffer, rowSquares, B)[r0 + r] = hand.kernels.sumSquares(1, O, row + 4 * r * O);
  if (!tied) for (let at = 0; at < rows; at += PIECE) hand.kernels.columnSums(row + 4 * at * O, Math.min(PIECE, rows - at), O, columnSums + (4 * (r0 + at) * O) / PIECE);
}

/** Dense gradients of a group and, with nothing to clip, its update. The last group: the linear path. */
export async function denseBackward(hand: Hand, g: number): Promise<void> {
  const { B, D, O, chunk, backward, dense, input, e, tied, addend, inverses, biasGradient, biasPull, skipGradient, groups } = hand.plan;
  const kernels = hand.kernels;
  if (g === groups) {
    await hand.products.outer([e, B, O], [hand.plan.x, B, D], skipGradient);
    settle(hand, g);
    return;
  }
  const [from, n] = hand.group(g);
  const w = hand.encoderRows(from, n, hand.scratch + backward.weights);
  let codes = dense!.codes + 4 * B * g * chunk;
  if (g >= dense!.kept) {
    codes = hand.scratch + backward.codes;
    await hand.products.affineRelu([input, B, D], [w, n, D], hand.state(tied ? 'bias' : 'encoderBias') + 4 * from, codes);
  }
  const slopes = hand.scratch + backward.slopes;
  await hand.products.slopes([e, B, O], [tied ? w : hand.state('decoder') + 4 * from * O, n, O], addend, slopes);
  const sums = [dense!.fired + 4 * from, biasGradient + 4 * from, dense!.codeSums + 4 * from] as const;
  for (const sum of sums) hand.zero(sum, 4 * n);
  kernels.maskSlopes(codes, slopes, B, n, ...sums);
  const out = hand.gradientsAt(g);
  if (tied) {
    await hand.products.outer([codes, B, n], [e, B, O], out);
    await hand.products.outerAdd([slopes, B, n], [input, B, D], out);
    kernels.throughNorm(n, D, hand.state('rows') + 4 * from * D, inverses + 4 * from, NORM_FLOOR, out);
  } else {
    const decoder = out + 4 * n * D;
    hand.zero(out, 4 * n * D);
    await hand.products.outerAdd([slopes, B, n], [input, B, D], out);
    await hand.products.outer([codes, B, n], [e, B, O], decoder);
    kernels.removeParallel(n, O, hand.state('decoder') + 4 * from * O, decoder);
    if (input !== hand.plan.x) kernels.weightedSum(n, D, biasGradient + 4 * from, hand.state('encoder') + 4 * from * D, biasPull + 4 * g * D);
  }
  settle(hand, g);
}
