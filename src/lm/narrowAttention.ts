import { NONE } from '../onnx/graphBuilder.ts';
import type { Value } from '../onnx/graphBuilder.ts';
import type { AttentionShape, Projection } from './attention.ts';
import { rotaryTables } from './rotaryTables.ts';
import type { SpanContext } from './spanContext.ts';

const CONTRIB = { domain: 'com.microsoft' } as const;
/** Added to the scores of keys that are not seen: e to its power is 0. */
const UNSEEN = -1e30;

/**
 * Causal attention of some positions of each row to all before them: queries, and what comes out, only at the narrowed
 * layer's positions [B, S], keys and values at all. On the CPU only (onnxruntime's MultiHeadAttention).
 */
export function narrowAttention(span: SpanContext, { input, project }: Projection, shape: AttentionShape, narrowed: NonNullable<SpanContext['narrowed']>): Value {
  const { heads, kvHeads, headDim, rotary } = shape;
  const { g, ops } = span;
  const group = heads / kvHeads;
  const turn = (x: Value, count: number, positions: Value): Value => {
    if (rotary === undefined) return x;
    const turning = rotary.dim === headDim ? 0 : rotary.dim; // 0 means the whole head
    return g.node('RotaryEmbedding', [x, positions, ...rotaryTables(span, rotary)], { rotary_embedding_dim: turning, num_heads: count }, CONTRIB);
  };
  const query = turn(project({ from: 0, count: heads * headDim }, span.narrow(input)), heads, narrowed.positions);
  const key = turn(project({ from: heads * headDim, count: kvHeads * headDim }), kvHeads, g.int([0]));
  const value = project({ from: (heads + kvHeads) * headDim, count: kvHeads * headDim });
  const attributes = { num_heads: kvHeads, scale: { float: shape.scale ?? 1 / Math.sqrt(headDim) } };
  const attend = (asked: Value, seen: Value): Value => g.node('MultiHeadAttention', [asked, key, value, NONE, NONE, seen], attributes, CONTRIB);
  if (group === 1) return attend(query, bias(span, narrowed.positions));
  // Query heads that share a key/value head are queries of their own: [B, S, K, G, H] to [B, S·G, K·H] and back.
  const swap = (x: Value, dims: readonly number[]): Value => ops.transpose(ops.reshape(x, dims), [0, 1, 3, 2, 4]);
  const asked = ops.reshape(swap(query, [0, 0, kvHeads, group, headDim]), [0, -1, kvHeads * headDim]);
  const each = g.node('Expand', [ops.unsqueeze(narrowed.positions, [2]), g.int([1, 1, group])]);
  const mixed = attend(asked, bias(span, ops.reshape(each, [0, -1])));
  const split = ops.reshape(mixed, [0, -1, group, kvHeads * headDim]);
  return ops.reshape(swap(split, [0, 0, group, kvHeads, headDim]), [0, 0, heads * headDim]);
}

/** [B, 1, S, T]: 0 where the key is not after the query's position [B, S]. */
function bias(span: SpanContext, positions: Value): Value {
  const { g, ops } = span;
  const seen = g.node('LessOrEqual', [ops.unsqueeze(span.positions(), [0, 1]), ops.unsqueeze(positions, [2])]);
  return ops.unsqueeze(ops.where(seen, 0, UNSEEN), [1]);
}
