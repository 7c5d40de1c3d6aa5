import type { GraphBuilder, Value } from '../onnx/graphBuilder.ts';
import { opsOf } from '../onnx/ops.ts';

export const ADAM = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 } as const;

/**
 * One Adam step (Kingma & Ba 2015, algorithm 1, in the arrangement of torch.optim.Adam):
 *
 *     m' = β1·m + (1−β1)·g        v' = β2·v + (1−β2)·g²
 *     p' = p − stepSize · m' / (√v' / secondCorrection + ε)
 *
 * with the scalars of `adamScalars`. Element-wise; all of p's shape.
 */
export function adamUpdate(
  g: GraphBuilder,
  { p, gradient, m, v, stepSize, secondCorrection }: Readonly<Record<'p' | 'gradient' | 'm' | 'v' | 'stepSize' | 'secondCorrection', Value>>,
): { p: Value; m: Value; v: Value } {
  const { add, sub, mul, div, sqrt } = opsOf(g);
  const nextM = add(mul(m, ADAM.beta1), mul(gradient, 1 - ADAM.beta1));
  const nextV = add(mul(v, ADAM.beta2), mul(mul(gradient, 1 - ADAM.beta2), gradient));
  const denominator = add(div(sqrt(nextV), secondCorrection), ADAM.epsilon);
  return { p: sub(p, mul(div(nextM, denominator), stepSize)), m: nextM, v: nextV };
}

/** stepSize = lr / (1 − β1ᵗ), secondCorrection = √(1 − β2ᵗ); t from 1. */
export function adamScalars(learningRate: number, step: number): { stepSize: number; secondCorrection: number } {
  return { stepSize: learningRate / (1 - ADAM.beta1 ** step), secondCorrection: Math.sqrt(1 - ADAM.beta2 ** step) };
}
