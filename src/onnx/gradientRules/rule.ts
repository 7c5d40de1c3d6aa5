import type { GraphBuilder, GraphNode, Value } from '../graphBuilder.ts';
import type { Ops } from '../ops.ts';
import type { Shape } from '../shapes.ts';

/** What a rule is given: a node, and the gradient of each of its outputs. */
export interface RuleContext {
  readonly g: GraphBuilder;
  readonly ops: Ops;
  readonly node: GraphNode;
  /** Gradient of the first output; only operators with several outputs need `grads`. */
  readonly grad: Value;
  /** By output; null where nothing depends on it. */
  readonly grads: readonly (Value | null)[];
  /** Whether input `i` needs a gradient. */
  wants(i: number): boolean;
  /** Inferred shape; fails where there is none. */
  shape(value: Value): Shape;
}

/** Adds nodes for the gradients of a node's inputs (vector-Jacobian products); what is not wanted may be left out. */
export type Rule = (context: RuleContext) => readonly (Value | null | undefined)[];

/** Rules by operator. */
export type Rules = Readonly<Record<string, Rule>>;

/** `grad`, summed over the axes along which a value of shape `to` was broadcast to `from`. */
export function unbroadcast({ g, ops }: Pick<RuleContext, 'g' | 'ops'>, grad: Value, from: Shape, to: Shape): Value {
  const extra = from.length - to.length;
  const axes = to.flatMap((dim, i) => (dim === 1 && from[i + extra] !== 1 ? [i + extra] : []));
  const kept = axes.length === 0 ? grad : ops.reduceSum(grad, axes);
  if (extra === 0) return kept;
  return g.node('ReduceSum', [kept, g.int(Array.from({ length: extra }, (_, i) => i))], { keepdims: 0 });
}

/** Zeros in the shape of a value. */
export function zerosLike({ g, ops }: Pick<RuleContext, 'g' | 'ops'>, value: Value): Value {
  return g.node('ConstantOfShape', [ops.shape(value)]);
}
