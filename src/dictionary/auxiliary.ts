import { CallerError } from '../domain/errors.ts';
import type { TrainerSpec } from '../domain/training.ts';
import type { Value } from '../onnx/graphBuilder.ts';
import { opsOf } from '../onnx/ops.ts';
import type { Ops } from '../onnx/ops.ts';
import type { CoreGradients, Linear } from './linear.ts';
import type { StepBuilder } from './stepBuilder.ts';

/**
 * AuxK (Gao et al. 2024, appendix A.2, normalised as their code does): the auxK most active dead features reconstruct what the
 * living ones left over. With a = the auxK largest relu(h_j) over dead j, and e = x̂ − target taken as a constant:
 *
 *     L_aux = auxCoefficient · Σ‖aW + e‖² / Σ‖e − ē‖²        (sums over the batch, ē its mean; 0 where that is 0)
 *
 *     q = 2·auxCoefficient/Σ‖e − ē‖² · (aW + e)      dh = (q·Wᵀ) ⊙ [a > 0]      dW = aᵀq       nothing to b′ or S but through h
 *
 * Dead = silent for deadVectors vectors, this batch included: so dead features have c = 0 in it, their rows of the main
 * loss's gradients are 0, and these are put in their place. With fewer dead than auxK all of them reconstruct.
 *
 * Everything runs inside an ONNX If on the n dead features alone: nothing dead costs nothing, and otherwise three B×n×D
 * products more, and no pass over [B, F].
 */
export function withAuxiliary(
  step: StepBuilder,
  { nFeatures: F, dIn, dOut, hyper: { auxK, auxCoefficient, deadVectors } }: TrainerSpec,
  linear: Linear,
  { e, positive, fired, core }: {
    readonly e: Value;
    /** relu(h) [B, F]. */
    readonly positive: Value;
    /** Vectors of the batch on which each feature is active [F]. */
    readonly fired: Value;
    /** Adds the main loss's gradients to the graph whose operators it is given. */
    readonly core: (ops: Ops) => CoreGradients;
  },
): CoreGradients & { /** [1] */ readonly auxiliaryLoss: Value | null } {
  if (auxCoefficient === 0) return { ...core(step.ops), auxiliaryLoss: null };
  const { g } = step;
  const { reduceMax, greater } = step.ops;
  const since = step.sinceFiredAfter(fired);
  // −1/2 makes ≥ of whole numbers.
  const anyDead = greater(reduceMax(since, [0], false), deadVectors - 0.5);

  const none = g.subgraph('no-dead-features');
  const plain = core(opsOf(none));
  const some = g.subgraph('dead-features');
  const ops = opsOf(some);
  const { add, mul, div, sub, where, isPositive, gather, gemm, matMul, shape, min, reshape, transpose, reduceMean, reduceSum, reduceSumSquare } = ops;
  const rows = transpose(some.node('NonZero', [ops.greater(since, deadVectors - 0.5)]), [1, 0]); // [n, 1]
  const dead = reshape(rows, [-1]); // [n]
  const h = gather(positive, dead, 1); // [B, n]
  const decoder = gather(linear.decoder, dead); // [n, dOut]
  const [values, indices] = some.nodeWithOutputs('TopK', [h, min(shape(dead), some.int([auxK]))], 2, { axis: -1, largest: 1, sorted: 0 });
  const a = some.node('ScatterElements', [mul(h, 0), indices!, values!], { axis: 1 });
  const u = add(matMul(a, decoder), e);
  const spread = reshape(reduceSumSquare(sub(e, reduceMean(e, [0]))), [1]);
  const scale = where(ops.greater(spread, 0), div(some.float([auxCoefficient]), spread), 0); // [1]
  const q = mul(u, mul(scale, 2));
  const dh = mul(gemm(q, decoder, { transB: true }), isPositive(a));
  const merged = core(ops);
  const put = (whole: Value, part: Value): Value => some.node('ScatterND', [whole, rows, part]);

  const gradients: CoreGradients = {
    encoder: put(merged.encoder, gemm(dh, linear.input, { transA: true })),
    sumDh: put(merged.sumDh, reduceSum(dh, [0], false)),
    decoder: put(merged.decoder, gemm(a, q, { transA: true })),
  };
  const loss = mul(reshape(reduceSumSquare(u), [1]), scale);
  const shapes = { encoder: [F, dIn], sumDh: [F], decoder: [F, dOut] };
  for (const [branch, found, lost] of [[none, plain, none.float([0])], [some, gradients, loss]] as const) {
    for (const name of ['encoder', 'sumDh', 'decoder'] as const) branch.output(found[name], `${branch.name}.${name}`, 'float32', shapes[name]);
    branch.output(lost, `${branch.name}.loss`, 'float32', [1]);
  }
  const [encoder, sumDh, decoderGradient, auxiliaryLoss] = g.nodeWithOutputs('If', [anyDead], 4, { then_branch: some, else_branch: none });
  return { encoder: encoder!, sumDh: sumDh!, decoder: decoderGradient!, auxiliaryLoss: auxiliaryLoss! };
}

/** Throws BAD_INPUT for a k or auxK that the features cannot fill. */
export function checkActive({ nFeatures: F, hyper: { k, auxK, auxCoefficient } }: TrainerSpec): void {
  if (k < 1 || k > F) throw new CallerError('BAD_INPUT', `k: expected 1 to ${F}, the number of features, found ${k}`);
  if (auxCoefficient > 0 && (auxK < 1 || auxK > F)) {
    throw new CallerError('BAD_INPUT', `auxK: expected 1 to ${F}, the number of features, found ${auxK}; without an auxiliary loss set auxCoefficient to 0`);
  }
}
