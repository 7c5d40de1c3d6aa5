import type { Hyperparameters } from '../domain/training.ts';
import type { GraphBuilder, Value } from '../onnx/graphBuilder.ts';
import { opsOf } from '../onnx/ops.ts';

/**
 * One Adam step (Kingma & Ba 2015, algorithm 1, in the arrangement of torch.optim.Adam):
 *
 *     m' = β1·m + (1−β1)·g        v' = β2·v + (1−β2)·g²
 *     p' = p − stepSize · m' / (√v' / secondCorrection + ε)
 *
 * with the scalars of schedule.ts's `adamScalars`. Element-wise; all of p's shape.
 */
export function adamUpdate(
  g: GraphBuilder,
  { p, gradient, m, v, stepSize, secondCorrection }: Readonly<Record<'p' | 'gradient' | 'm' | 'v' | 'stepSize' | 'secondCorrection', Value>>,
  { beta1, beta2, epsilon }: Pick<Hyperparameters, 'beta1' | 'beta2' | 'epsilon'>,
): { p: Value; m: Value; v: Value } {
  const { add, sub, mul, div, sqrt } = opsOf(g);
  const nextM = beta1 === 0 ? gradient : add(mul(m, beta1), mul(gradient, 1 - beta1));
  const nextV = add(mul(v, beta2), mul(mul(gradient, 1 - beta2), gradient));
  const denominator = add(div(sqrt(nextV), secondCorrection), epsilon);
  return { p: sub(p, mul(div(nextM, denominator), stepSize)), m: nextM, v: nextV };
}
