import type { GraphBuilder, GraphNode, Value } from './graphBuilder.ts';
import { arithmeticRules } from './gradientRules/arithmetic.ts';
import { elementwiseRules } from './gradientRules/elementwise.ts';
import { layoutRules } from './gradientRules/layout.ts';
import { normRules } from './gradientRules/norms.ts';
import { productRules } from './gradientRules/products.ts';
import { zerosLike } from './gradientRules/rule.ts';
import type { Rules } from './gradientRules/rule.ts';
import { opsOf } from './ops.ts';
import { inferShapes } from './shapes.ts';

const RULES: Rules = { ...arithmeticRules, ...elementwiseRules, ...layoutRules, ...normRules, ...productRules };

/**
 * Reverse-mode differentiation of the graph built so far: adds the nodes that compute, for each value of `wrt`, the gradient of
 * Σ cotangent·of, in its shape; zeros where `of` does not depend on it. Total derivatives: where one value of `wrt` is made from
 * another, the earlier one's gradient includes the way through the later one. Nothing is computed for values that lie on no
 * path from `wrt` to `of`, so none for weights. Each operator on such a path must have a rule (gradientRules/), and its
 * operands known shapes (shapes.ts).
 *
 * @param cotangent in the shape of `of`.
 */
export function gradients(g: GraphBuilder, of: Value, cotangent: Value, wrt: readonly Value[]): Value[] {
  const ops = opsOf(g);
  const shapes = inferShapes(g);
  const forward = [...g.nodes];
  const active = new Set(wrt);
  for (const node of forward) if (node.inputs.some((input) => active.has(input))) for (const output of node.outputs) active.add(output);

  /** Gradients by value, one per reader; their sum once asked for. */
  const parts = new Map<Value, Value[]>([[of, [cotangent]]]);
  const total = (value: Value): Value | null => {
    const found = parts.get(value) ?? [];
    if (found.length > 1) parts.set(value, [g.node('Sum', found)]);
    return parts.get(value)?.[0] ?? null;
  };
  const backward = (node: GraphNode): void => {
    const grads = node.outputs.map(total);
    const grad = grads.find((found) => found !== null);
    if (grad === undefined || grad === null || !node.inputs.some((input) => active.has(input))) return;
    const rule = Object.hasOwn(RULES, node.op) ? RULES[node.op] : undefined;
    if (rule === undefined) throw new Error(`bug: graph ${g.name}: no gradient rule for ${node.op}`);
    const made = rule({
      g,
      ops,
      node,
      grad,
      grads,
      wants: (i) => active.has(node.inputs[i]),
      shape: (value) => {
        const shape = shapes.get(value);
        if (shape === undefined) throw new Error(`bug: graph ${g.name}: shape of ${value} is not known, for the gradient of ${node.op}`);
        return shape;
      },
    });
    node.inputs.forEach((input, i) => {
      const part = made[i];
      if (!active.has(input) || part === null || part === undefined) return;
      parts.set(input, [...(parts.get(input) ?? []), part]);
    });
  };
  for (const node of forward.toReversed()) backward(node);
  return wrt.map((value) => total(value) ?? zerosLike({ g, ops }, value));
}
