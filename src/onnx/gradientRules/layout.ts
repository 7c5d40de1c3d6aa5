import { axisOf, intsAttribute } from '../shapes.ts';
import { zerosLike } from './rule.ts';
import type { Rule, Rules } from './rule.ts';

/** Back into the input's shape. */
const reshapeBack: Rule = ({ g, ops, node, grad }) => [g.node('Reshape', [grad, ops.shape(node.inputs[0])])];

/** Operators that move numbers, and sums of them. */
export const layoutRules: Rules = {
  Reshape: reshapeBack,
  Unsqueeze: reshapeBack,
  Squeeze: reshapeBack,
  Transpose: ({ ops, node, grad }) => {
    const perm = intsAttribute(node.attributes, 'perm');
    return [ops.transpose(grad, perm.map((_, i) => perm.indexOf(i)))];
  },
  Split: (c) => {
    const { node, ops, grads, shape } = c;
    return [ops.concat(node.outputs.map((output, i) => grads[i] ?? zerosLike(c, output)), axisOf(node.attributes, shape(node.inputs[0]).length))];
  },
  Concat: ({ node, ops, grad, shape }) => {
    const axis = axisOf(node.attributes, shape(node.outputs[0]).length);
    return ops.split(grad, node.inputs.map((input) => Number(shape(input)[axis])), axis);
  },
  /** Of the rows of a matrix: rows taken twice get both gradients. */
  Gather: (c) => {
    const [data, indices] = c.node.inputs;
    if (axisOf(c.node.attributes, c.shape(data).length, 0) !== 0) throw new Error('bug: gradient of Gather along an axis other than the first');
    const places = c.ops.unsqueeze(c.ops.cast(indices, 'int64'), [-1]);
    return [c.g.node('ScatterND', [zerosLike(c, data), places, c.grad], { reduction: 'add' })];
  },
  ReduceSum: (c) => [spread(c, c.grad)],
  ReduceMean: (c) => {
    const [x] = c.node.inputs;
    const [y] = c.node.outputs;
    // Numbers a mean is taken of: only known when the graph runs where a dimension is.
    const count = (value: typeof x): typeof x => c.ops.cast(c.g.node('Size', [value]), 'float32');
    return [spread(c, c.ops.div(c.ops.mul(c.grad, count(y)), count(x)))];
  },
};

/** The gradient of a reduction's result, over the axes that were summed. */
function spread({ g, ops, node, shape }: Parameters<Rule>[0], grad: Parameters<Rule>[0]['grad']): Parameters<Rule>[0]['grad'] {
  const [x, axes] = node.inputs;
  const all = shape(x).map((_, i) => i);
  const kept = node.attributes['keepdims'] !== 0 ? grad : g.node('Unsqueeze', [grad, axes ?? g.int(all)]);
  return g.node('Expand', [kept, ops.shape(x)]);
}
