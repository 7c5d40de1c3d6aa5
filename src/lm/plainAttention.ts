import type { Value } from '../onnx/graphBuilder.ts';
import type { AttentionShape } from './attention.ts';
import type { Rotary } from './rotary.ts';
import type { SpanContext } from './spanContext.ts';

/**
 * Causal attention in standard ONNX operators, for devices without the fused operator and for head sizes it refuses. Query
 * heads that share a key/value head are a dimension G of their own, over which keys and values broadcast.
 */
export function plainAttention(span: SpanContext, qkv: Value, shape: AttentionShape): Value {
  const { heads, kvHeads, headDim, rotary } = shape;
  const { ops } = span;
  const group = heads / kvHeads;
  const parts = ops.split(qkv, [heads * headDim, kvHeads * headDim, kvHeads * headDim], -1);
  // [B, T, K, G or 1, H]
  const query = ops.reshape(parts[0], [0, 0, kvHeads, group, headDim]);
  const key = ops.reshape(parts[1], [0, 0, kvHeads, 1, headDim]);
  const value = ops.reshape(parts[2], [0, 0, kvHeads, 1, headDim]);
  const turned = (x: Value): Value => (rotary === undefined ? x : rotate(span, x, rotary, headDim));
  const scores = ops.mul(
    ops.matMul(ops.transpose(turned(query), [0, 2, 3, 1, 4]), ops.transpose(turned(key), [0, 2, 3, 4, 1])),
    shape.scale ?? 1 / Math.sqrt(headDim),
  );
  const weights = ops.softmax(ops.where(causalMask(span), scores, -Infinity));
  const mixed = ops.matMul(weights, ops.transpose(value, [0, 2, 3, 1, 4]));
  return ops.reshape(ops.transpose(mixed, [0, 3, 1, 2, 4]), [0, 0, heads * headDim]);
}

/** [T, T], true where the key is not after the query. */
function causalMask(span: SpanContext): Value {
  return span.once('causalMask', () => {
    const at = span.positions();
    return span.g.node('GreaterOrEqual', [span.ops.unsqueeze(at, [1]), span.ops.unsqueeze(at, [0])]);
  });
}

/** Turns the pairs (i, i + dim/2) of the first `dim` dimensions of x [B, T, K, G, H] by the angle of their position. */
export function rotate(span: SpanContext, x: Value, rotary: Rotary, headDim: number): Value {
  const { ops } = span;
  const half = rotary.dim / 2;
  const table = (name: string, data: Float32Array): Value =>
    span.once(`plain.${name}`, () => {
      const all = span.g.initializer(`plain.${name}`, 'float32', [data.length / half, half], data);
      // The axes of heads, after those of the position.
      return ops.unsqueeze(ops.gather(all, span.positions()), [-2, -3]);
    });
  const cos = table('cos', rotary.cos);
  const sin = table('sin', rotary.sin);
  const rest = headDim - rotary.dim;
  const [first, second, ...still] = ops.split(x, rest === 0 ? [half, half] : [half, half, rest], -1);
  const a = ops.sub(ops.mul(first, cos), ops.mul(second, sin));
  const b = ops.add(ops.mul(second, cos), ops.mul(first, sin));
  return ops.concat([a, b, ...still], -1);
}
