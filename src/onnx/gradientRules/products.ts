import type { Value } from '../graphBuilder.ts';
import { unbroadcast } from './rule.ts';
import type { Rule, RuleContext, Rules } from './rule.ts';

/** alpha·a·b with either side's last two axes swapped where asked. */
function product({ g }: RuleContext, a: Value, b: Value, transA: boolean, transB: boolean, alpha: number): Value {
  const attributes = { transA: transA ? 1 : 0, transB: transB ? 1 : 0, alpha: { float: alpha } };
  return g.node('FusedMatMul', [a, b], attributes, { domain: 'com.microsoft' });
}

function alphaOf({ node: { attributes } }: RuleContext, name = 'alpha'): number {
  const value = attributes[name];
  return typeof value === 'object' && 'float' in value ? value.float : 1;
}

/** y = alpha·op(a)·op(b): the gradients are products of y's with the other factor, summed over broadcast axes. */
const matMul: Rule = (c) => {
  const [a, b] = c.node.inputs;
  const transA = c.node.attributes['transA'] === 1;
  const transB = c.node.attributes['transB'] === 1;
  const alpha = alphaOf(c);
  const [ofA, ofB, from] = [c.shape(a), c.shape(b), c.shape(c.node.outputs[0])];
  const batch = from.slice(0, -2);
  const back = (made: Value, to: typeof ofA): Value => unbroadcast(c, made, [...batch, ...to.slice(-2)], to);
  const left = (): Value => (transA ? product(c, b, c.grad, transB, true, alpha) : product(c, c.grad, b, false, !transB, alpha));
  const right = (): Value => (transB ? product(c, c.grad, a, true, transA, alpha) : product(c, a, c.grad, !transA, false, alpha));
  return [c.wants(0) ? back(left(), ofA) : null, c.wants(1) ? back(right(), ofB) : null];
};

/** Matrix products. */
export const productRules: Rules = {
  MatMul: matMul,
  FusedMatMul: matMul,
  /** alpha·op(a)·op(b) + beta·c, of rank 2. */
  Gemm: (c) => {
    const [a, b] = matMul(c);
    const addend = c.node.inputs[2];
    if (addend === undefined || !c.wants(2)) return [a, b];
    return [a, b, unbroadcast(c, c.ops.mul(c.grad, alphaOf(c, 'beta')), c.shape(c.node.outputs[0]), c.shape(addend))];
  },
};
