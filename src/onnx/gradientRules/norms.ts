import type { Value } from '../graphBuilder.ts';
import type { Rule, RuleContext, Rules } from './rule.ts';

/**
 * With x̂ the normalised x, r its inverse deviation and h = gradient · gain, means over the last axis:
 * LayerNorm r·(h − mean(h) − x̂·mean(h·x̂)); RMSNorm r·(h − x̂·mean(h·x̂)). The normalisation is computed once more without gain
 * and bias, since a gain may be 0. Gain and bias are constants.
 */
const norm: Rule = (c) => {
  const { ops, node, grad, wants, shape } = c;
  const [x, gain] = node.inputs;
  if (wants(1) || wants(2)) throw new Error('bug: no gradients of a norm\'s gain and bias');
  const width = Number(shape(x).at(-1));
  const [normalised, inverse] = normalise(c, x, width);
  const scaled = ops.mul(grad, gain);
  const along = ops.mul(normalised, ops.reduceMean(ops.mul(scaled, normalised), [-1]));
  const centred = node.op === 'LayerNormalization' ? ops.sub(scaled, ops.reduceMean(scaled, [-1])) : scaled;
  return [ops.mul(ops.sub(centred, along), inverse)];
};

/** x̂ and r; onnxruntime gives both. */
function normalise({ g, node: { op, attributes } }: RuleContext, x: Value, width: number): readonly [Value, Value] {
  const ones = g.float(Array.from({ length: width }, () => 1));
  if (op === 'LayerNormalization') {
    const [normalised, , inverse] = g.nodeWithOutputs(op, [x, ones], 3, attributes);
    return [normalised, inverse];
  }
  const [normalised, inverse] = g.nodeWithOutputs(op, [x, ones], 2, attributes);
  return [normalised, inverse];
}

/** Norms over the last axis. */
export const normRules: Rules = { LayerNormalization: norm, SimplifiedLayerNormalization: norm };
