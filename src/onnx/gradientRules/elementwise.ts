import type { Value } from '../graphBuilder.ts';
import type { Rule, RuleContext, Rules } from './rule.ts';

/** A rule from the gradient, the input x and the output y. */
function unary(back: (c: RuleContext, x: Value, y: Value) => Value): Rule {
  return (c) => [back(c, c.node.inputs[0], c.node.outputs[0])];
}

/** 1/√(2π) and √(2/π). */
const DENSITY_AT_0 = 0.3989422804014327;
const TANH_SCALE = 0.7978845608028654;
const TANH_CUBE = 0.044715;

/** d/dx x·Φ(x) = Φ(x) + x·φ(x), Φ by Erf. */
function exactGelu({ ops }: RuleContext, x: Value): Value {
  const below = ops.add(ops.mul(ops.erf(ops.mul(x, Math.SQRT1_2)), 0.5), 0.5);
  const density = ops.mul(ops.exp(ops.mul(ops.mul(x, x), -0.5)), DENSITY_AT_0);
  return ops.add(below, ops.mul(x, density));
}

/** d/dx ½x(1 + t) with t = tanh(√(2/π)(x + 0.044715x³)): ½(1 + t) + ½x(1 − t²)·√(2/π)(1 + 3·0.044715x²). */
function tanhGelu({ ops }: RuleContext, x: Value): Value {
  const square = ops.mul(x, x);
  const t = ops.tanh(ops.mul(x, ops.add(ops.mul(square, TANH_SCALE * TANH_CUBE), TANH_SCALE)));
  const inner = ops.add(ops.mul(square, 1.5 * TANH_SCALE * TANH_CUBE), TANH_SCALE / 2);
  return ops.add(ops.add(ops.mul(t, 0.5), 0.5), ops.mul(ops.mul(x, inner), ops.sub(1, ops.mul(t, t))));
}

/** d/dx x·σ(αx) = σ·(1 + αx(1 − σ)). */
function quickGelu({ ops, node }: RuleContext, x: Value): Value {
  const { alpha } = node.attributes;
  const scale = typeof alpha === 'object' && 'float' in alpha ? alpha.float : 1.702;
  const scaled = scale === 1 ? x : ops.mul(x, scale);
  const s = ops.sigmoid(scaled);
  return ops.mul(s, ops.add(ops.mul(scaled, ops.sub(1, s)), 1));
}

/** Functions of one number, and softmax. */
export const elementwiseRules: Rules = {
  Identity: unary(({ grad }) => grad),
  Neg: unary(({ grad, ops }) => ops.neg(grad)),
  Sqrt: unary(({ grad, ops }, _x, y) => ops.div(ops.mul(grad, 0.5), y)),
  Exp: unary(({ grad, ops }, _x, y) => ops.mul(grad, y)),
  Log: unary(({ grad, ops }, x) => ops.div(grad, x)),
  Tanh: unary(({ grad, ops }, _x, y) => ops.mul(grad, ops.sub(1, ops.mul(y, y)))),
  Sigmoid: unary(({ grad, ops }, _x, y) => ops.mul(grad, ops.mul(y, ops.sub(1, y)))),
  Erf: unary(({ grad, ops }, x) => ops.mul(grad, ops.mul(ops.exp(ops.neg(ops.mul(x, x))), 4 * DENSITY_AT_0 * Math.SQRT1_2))),
  /** 0 at 0, as torch has it. */
  Relu: unary(({ grad, ops }, x) => ops.where(ops.greater(x, 0), grad, 0)),
  Gelu: unary((c, x) => c.ops.mul(c.grad, c.node.attributes['approximate'] === 'tanh' ? tanhGelu(c, x) : exactGelu(c, x))),
  QuickGelu: unary((c, x) => c.ops.mul(c.grad, quickGelu(c, x))),
  Softmax: (c) => {
    const [y] = c.node.outputs;
    const axis = typeof c.node.attributes['axis'] === 'number' ? c.node.attributes['axis'] : -1;
    const weighted = c.ops.mul(c.grad, y);
    return [c.ops.sub(weighted, c.ops.mul(y, c.ops.reduceSum(weighted, [axis])))];
  },
};
