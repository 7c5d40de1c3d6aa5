import type { Value } from '../onnx/graphBuilder.ts';
import type { AttentionShape } from './attention.ts';
import { rotate } from './plainAttention.ts';
import type { KeyValueCache, SpanContext } from './spanContext.ts';

/** Later than every position. */
const NEVER = 2 ** 40;

/**
 * Causal attention over keys and values of earlier positions and the new ones, in standard operators,
 * for sizes and devices that the fused operator does not serve.
 */
export function plainCachedAttention(span: SpanContext, cache: KeyValueCache, qkv: Value, shape: AttentionShape): Value {
  const { heads, kvHeads, headDim, rotary } = shape;
  const { ops } = span;
  const group = heads / kvHeads;
  const past = cache.next(shape);
  const parts = ops.split(qkv, [heads * headDim, kvHeads * headDim, kvHeads * headDim], -1);
  const turned = (x: Value): Value => (rotary === undefined ? x : rotate(span, x, rotary, headDim));
  // [B, T, K, G or 1, H], then [B, K, G, T, H] for queries and [B, K, T, H] for keys and values
  const query = ops.transpose(turned(ops.reshape(parts[0], [0, 0, kvHeads, group, headDim])), [0, 2, 3, 1, 4]);
  const perPosition = (x: Value): Value => ops.transpose(ops.reshape(x, [0, 0, kvHeads, headDim]), [0, 2, 1, 3]);
  const newKey = perPosition(turned(ops.reshape(parts[1], [0, 0, kvHeads, 1, headDim])));
  const newValue = perPosition(parts[2]);
  past.keep(newKey, newValue);
  const key = ops.concat([past.key, newKey], 2);
  const value = ops.concat([past.value, newValue], 2);
  const scores = ops.mul(
    ops.matMul(query, ops.unsqueeze(ops.transpose(key, [0, 1, 3, 2]), [2])),
    shape.scale ?? 1 / Math.sqrt(headDim),
  );
  const weights = ops.softmax(ops.where(visible(span, past.key), scores, -Infinity));
  const mixed = ops.matMul(weights, ops.unsqueeze(value, [2]));
  return ops.reshape(ops.transpose(mixed, [0, 3, 1, 2, 4]), [0, 0, heads * headDim]);
}

/** [B, 1, 1, T, P + T]: true where the key's position is not after the query's; places of the cache not yet filled never are. */
function visible(span: SpanContext, pastKey: Value): Value {
  const { g, ops } = span;
  return span.once('visible', () => {
    const at = span.positions();
    const first = g.node('Slice', [at, g.int([0]), g.int([1]), g.int([1])]);
    const size = ops.squeeze(g.node('Shape', [pastKey], { start: 2, end: 3 }), [0]);
    const places = ops.unsqueeze(g.node('Range', [g.int(0), size, g.int(1)]), [0]);
    const old = ops.where(ops.less(places, first), places, g.int(NEVER));
    const keys = ops.concat([old, at], 1);
    const seen = g.node('LessOrEqual', [ops.unsqueeze(keys, [1]), ops.unsqueeze(at, [2])]);
    return ops.unsqueeze(seen, [1, 2]);
  });
}
