import type { Value } from '../graphBuilder.ts';
import { unbroadcast } from './rule.ts';
import type { Rule, RuleContext, Rules } from './rule.ts';

/** A rule from the partial derivatives' products with the gradient, given in the output's shape; broadcasting is undone here. */
function binary(left: (c: RuleContext, a: Value, b: Value, y: Value) => Value, right: (c: RuleContext, a: Value, b: Value, y: Value) => Value): Rule {
  return (c) => {
    const [a, b] = c.node.inputs;
    const [y] = c.node.outputs;
    const back = (i: number, make: typeof left): Value | null =>
      c.wants(i) ? unbroadcast(c, make(c, a, b, y), c.shape(y), c.shape(c.node.inputs[i])) : null;
    return [back(0, left), back(1, right)];
  };
}

/** Operators on two numbers, and choices between them. */
export const arithmeticRules: Rules = {
  Add: binary(({ grad }) => grad, ({ grad }) => grad),
  Sub: binary(({ grad }) => grad, ({ grad, ops }) => ops.neg(grad)),
  Mul: binary(({ grad, ops }, _a, b) => ops.mul(grad, b), ({ grad, ops }, a) => ops.mul(grad, a)),
  Div: binary(({ grad, ops }, _a, b) => ops.div(grad, b), ({ grad, ops }, _a, b, y) => ops.neg(ops.div(ops.mul(grad, y), b))),
  /** Exponents are constants in all our graphs. */
  Pow: (c) => {
    const [a, b] = c.node.inputs;
    if (c.wants(1)) throw new Error('bug: no gradient of an exponent');
    const slope = c.ops.mul(b, c.ops.pow(a, c.ops.sub(b, 1)));
    return [unbroadcast(c, c.ops.mul(c.grad, slope), c.shape(c.node.outputs[0]), c.shape(a))];
  },
  Where: (c) => {
    const [condition, a, b] = c.node.inputs;
    const from = c.shape(c.node.outputs[0]);
    return [
      null,
      c.wants(1) ? unbroadcast(c, c.ops.where(condition, c.grad, 0), from, c.shape(a)) : null,
      c.wants(2) ? unbroadcast(c, c.ops.where(condition, 0, c.grad), from, c.shape(b)) : null,
    ];
  },
};
