import { NORM_FLOOR } from '../../../dictionary/tied.ts';
import { SCALAR } from './hand.ts';
import type { Hand } from './hand.ts';
import type { Entries } from './plan.ts';

/** Backward tasks of a sparse step: entries sorted by feature, gradients group by group, Adam. */

/** Features [from, to) of one of as many shares as there are threads. */
function share(hand: Hand, task: number): readonly [from: number, to: number] {
  const { F, threads } = hand.plan;
  return [Math.floor((task * F) / threads), Math.floor(((task + 1) * F) / threads)];
}

export function count(hand: Hand, { starts, counts, indices, totals }: Entries, task: number): void {
  hand.kernels.countFeatures(hand.plan.B, starts, counts, indices, ...share(hand, task), totals);
}

export function fill(hand: Hand, { starts, counts, indices, values, slopes, cursors, rows, codes, rises }: Entries, task: number, alpha: number): void {
  hand.kernels.fillFeatures(hand.plan.B, starts, counts, indices, values, slopes, ...share(hand, task), alpha, cursors, rows, codes, rises);
}

/** The gradients of a group's rows (and decoder rows behind them), from the sorted entries. */
function gather(hand: Hand, g: number): void {
  const { B, D, O, tied, main, auxiliary, input, e, errors, prefixes, inverses } = hand.plan;
  const kernels = hand.kernels;
  const [from, n] = hand.group(g);
  const out = hand.gradientsAt(g);
  const to = from + n;
  if (tied) {
    kernels.gatherFeatures(from, to, D, main.offsets, main.rows, main.codes, e, out, 0);
    kernels.gatherFeatures(from, to, D, main.offsets, main.rows, main.rises, input, out, 1);
    kernels.throughNorm(n, D, hand.state('rows') + 4 * from * D, inverses + 4 * from, NORM_FLOOR, out);
    return;
  }
  const decoder = out + 4 * n * D;
  kernels.gatherFeatures(from, to, D, main.offsets, main.rows, main.rises, input, out, 0);
  for (let q = 0, at = from; at < to; q++) {
    const end = Math.min(to, prefixes[q]);
    if (end > at) kernels.gatherFeatures(at, end, O, main.offsets, main.rows, main.codes, errors + 4 * q * B * O, decoder + 4 * (at - from) * O, 0);
    at = Math.max(at, end);
  }
  if (auxiliary !== null && hand.scalars[SCALAR.auxiliary] === 1) {
    kernels.gatherFeatures(from, to, D, auxiliary.offsets, auxiliary.rows, auxiliary.rises, input, out, 1);
    kernels.gatherFeatures(from, to, O, auxiliary.offsets, auxiliary.rows, auxiliary.codes, auxiliary.u, decoder, 1);
  }
  kernels.removeParallel(n, O, hand.state('decoder') + 4 * from * O, decoder);
}

/** A group's gradients and, with nothing to clip, its update. The last group: the linear path. */
export async function gradients(hand: Hand, g: number): Promise<void> {
  const { B, D, O, x, groups, main, auxiliary, biasGradient, biasPull, input, errors, skipGradient } = hand.plan;
  if (g === groups) {
    await hand.products.outer([errors, B, O], [x, B, D], skipGradient);
    settle(hand, g);
    return;
  }
  const kernels = hand.kernels;
  const [from, n] = hand.group(g);
  kernels.sumFeatures(from, from + n, main.offsets, main.rises, biasGradient, 0);
  if (auxiliary !== null && hand.scalars[SCALAR.auxiliary] === 1) kernels.sumFeatures(from, from + n, auxiliary.offsets, auxiliary.rises, biasGradient, 1);
  if (input !== x) kernels.weightedSum(n, D, biasGradient + 4 * from, hand.state('encoder') + 4 * from * D, biasPull + 4 * g * D);
  gather(hand, g);
  settle(hand, g);
}

/** What is done with a group's gradients: its update or, where they are to be clipped, their share of the norm. */
export function settle(hand: Hand, g: number): void {
  const { D, O, tied, groups, biasGradient, groupSquares, skipGradient, spec } = hand.plan;
  const { sumSquares } = hand.kernels;
  if (spec.hyper.clipNorm === 0) {
    if (g < groups) update(hand, g);
    return;
  }
  const [from, n] = hand.group(g);
  const out = hand.gradientsAt(g);
  const squares = g === groups ? sumSquares(O, D, skipGradient) : sumSquares(1, n, biasGradient + 4 * from) + sumSquares(n, D, out) + (tied ? 0 : sumSquares(n, O, out + 4 * n * D));
  hand.doubles(groupSquares, groups + 1)[g] = squares;
}

/** The update of a group whose clipped norm is known. */
export function apply(hand: Hand, g: number): void {
  if (g >= hand.plan.stored) gather(hand, g);
  update(hand, g);
}

/** Adam on a group's parameters. */
function update(hand: Hand, g: number): void {
  const { D, O, tied, biasGradient, spec: { hyper } } = hand.plan;
  const kernels = hand.kernels;
  const [from, n] = hand.group(g);
  const out = hand.gradientsAt(g);
  const [factor, stepSize, secondCorrection] = [hand.scalars[SCALAR.factor], hand.scalars[SCALAR.stepSize], hand.scalars[SCALAR.secondCorrection]];
  const settings = [factor, hyper.beta1, 1 - hyper.beta1, hyper.beta2, 1 - hyper.beta2, hyper.epsilon, stepSize, secondCorrection] as const;
  const at = (name: string, width: number): readonly [number, number, number] => [hand.state(name) + 4 * from * width, hand.state(`${name}.m`) + 4 * from * width, hand.state(`${name}.v`) + 4 * from * width];
  const [p, m, v] = at(tied ? 'rows' : 'encoder', D);
  kernels.adam(n * D, p, out, m, v, ...settings);
  const [b, bm, bv] = at(tied ? 'bias' : 'encoderBias', 1);
  kernels.adam(n, b, biasGradient + 4 * from, bm, bv, ...settings);
  if (tied) return;
  const [w, wm, wv] = at('decoder', O);
  kernels.adamUnitRows(n, O, w, out + 4 * n * D, wm, wv, ...settings, NORM_FLOOR);
}
