import { NONE } from '../onnx/graphBuilder.ts';
import type { Value } from '../onnx/graphBuilder.ts';
import type { Rotary } from './rotary.ts';
import { rotaryTables } from './rotaryTables.ts';
import type { Rows, SpanContext } from './spanContext.ts';
import { narrowAttention } from './narrowAttention.ts';
import { plainAttention } from './plainAttention.ts';
import { plainCachedAttention } from './plainCachedAttention.ts';

export interface AttentionShape {
  readonly heads: number;
  /** Heads of keys and values; each serves heads / kvHeads query heads. */
  readonly kvHeads: number;
  readonly headDim: number;
  /** Scores are q·k times this; 1/sqrt(headDim) by default. */
  readonly scale?: number;
  readonly rotary?: Rotary;
}

const CONTRIB = { domain: 'com.microsoft' } as const;

/**
 * The packed projection [B, T, (heads + 2 kvHeads)·headDim], order q, k, v; or only some of its last dimension, of the vectors
 * `of` in place of the normed stream.
 */
export interface Projection {
  /** The normed stream [B, T, D]. */
  readonly input: Value;
  project(part?: Rows, of?: Value): Value;
}

/**
 * Causal self-attention over a packed projection; returns
 * [B, T, heads·headDim], or [B, S, heads·headDim] in a narrowed layer. Padding sits on the right, so the causal mask already keeps real positions from seeing it.
 *
 * On the CPU this is onnxruntime's GroupQueryAttention, which takes rotation in where sizes allow (multiples of 16) and needs
 * head sizes in multiples of 8; every other case uses standard operators.
 */
export function causalAttention(span: SpanContext, { input, project }: Projection, shape: AttentionShape): Value {
  if (span.narrowed !== null) return narrowAttention(span, { input, project }, shape, span.narrowed);
  const { heads, kvHeads, headDim, rotary } = shape;
  if (span.operators === 'plain' || headDim % 8 !== 0) {
    return span.cache === null ? plainAttention(span, project(), shape) : plainCachedAttention(span, span.cache, project(), shape);
  }
  const scale = shape.scale ?? 1 / Math.sqrt(headDim);
  const attributes = { num_heads: heads, kv_num_heads: kvHeads, scale: { float: scale } };
  const lengths = [span.input('lastKey', 'int32', ['B']), span.input('total', 'int32', [])];
  const past = span.cache?.next(shape);
  const fused = (qkv: readonly Value[], extra: readonly Value[] = []): Value => {
    const inputs = [...qkv, past?.key ?? NONE, past?.value ?? NONE, ...lengths, ...extra];
    const turned = extra.length === 0 ? attributes : { ...attributes, do_rotary: 1 };
    const [mixed, keys, values] = span.g.nodeWithOutputs('GroupQueryAttention', inputs, 3, turned, CONTRIB);
    past?.keep(newest(span, keys, kvHeads), newest(span, values, kvHeads));
    return mixed;
  };
  if (rotary === undefined) return fused([project(), NONE, NONE]);
  const tables = rotaryTables(span, rotary);
  if (headDim % 16 === 0 && rotary.dim % 16 === 0) return fused([project(), NONE, NONE], tables);
  // Three products in place of one: taking the packed one apart would copy it.
  const query = project({ from: 0, count: heads * headDim });
  const key = project({ from: heads * headDim, count: kvHeads * headDim });
  const value = project({ from: (heads + kvHeads) * headDim, count: kvHeads * headDim });
  const turn = (x: Value, count: number): Value => {
    // 0 means the whole head.
    const turning = rotary.dim === headDim ? 0 : rotary.dim;
    const inputs = [x, span.cache === null ? span.g.int([0]) : span.positions(), ...tables];
    return span.g.node('RotaryEmbedding', inputs, { rotary_embedding_dim: turning, num_heads: count }, CONTRIB);
  };
  return fused([turn(query, heads), turn(key, kvHeads), value]);
}

/** Of keys or values of all positions [B, kvHeads, P, headDim] those of the new ones [B, kvHeads, T, headDim]. */
function newest(span: SpanContext, all: Value, kvHeads: number): Value {
  const { g, ops } = span;
  const places = span.once('newest', () => {
    const perHead = ops.unsqueeze(span.positions(), [1, 3]);
    return g.node('Expand', [perHead, g.int([1, kvHeads, 1, 1])]);
  });
  return g.node('GatherND', [all, places], { batch_dims: 2 });
}
