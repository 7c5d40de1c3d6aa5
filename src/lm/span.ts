import { invariant } from '../domain/errors.ts';
import { GraphBuilder } from '../onnx/graphBuilder.ts';
import type { Value } from '../onnx/graphBuilder.ts';
import type { LanguageModel } from './architecture.ts';
import { layersBefore } from './point.ts';
import type { Point } from './point.ts';
import { SpanContext } from './spanContext.ts';
import type { OperatorSet } from './spanContext.ts';
import type { WeightLayout } from './weightLayout.ts';

/** What to compile: a stretch of the model, where to read it and where to add to it. Without duplicates. */
export interface SpanSpec {
  /** Residual boundary the run starts at (input `residual`), or null to start from tokens (input `ids`). */
  readonly from: number | null;
  /** Points to read; output `tap:POINT` [B, T, D], after the delta at that point. */
  readonly taps: readonly Point[];
  /** Points to edit; input `delta:POINT` [B, T, D]. */
  readonly sites: readonly Point[];
  /** Output `logits`: [B, V] at the flat positions b·T + t of input `last` [B], or [B, T, V]. */
  readonly logits: 'none' | 'last' | 'all';
}

export interface CompiledSpan {
  /** ModelProto; its weights are external data under WEIGHTS_LOCATION. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /**
   * Inputs the graph reads: `ids` int32 [B, T], `residual` and `delta:*` float32 [B, T, D], `last` int64 [B], `lastKey` int32
   * [B] (every entry T - 1), `total` int32 scalar (T).
   */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Bytes of the weights it reads: what a session for it costs, at least. */
  readonly weightBytes: number;
}

/** Equal specs have equal keys. */
export function spanKey(spec: SpanSpec): string {
  return JSON.stringify([spec.from, [...spec.taps].sort(), [...spec.sites].sort(), spec.logits]);
}

/** Compiles a span to ONNX. Layers past the last tap are left out when no logits are asked for. */
export function compileSpan(model: LanguageModel, layout: WeightLayout, spec: SpanSpec, operators: OperatorSet): CompiledSpan {
  const start = spec.from ?? 0;
  const wanted = new Set(spec.taps);
  const sites = new Set(spec.sites);
  const outputs: string[] = [];
  const g = new GraphBuilder('span');
  const shape = ['B', 'T', model.dModel] as const;

  const atPoint = (point: Point, value: Value): Value => {
    const edited = sites.has(point) ? span.ops.add(value, span.input(`delta:${point}`, 'float32', shape)) : value;
    if (wanted.delete(point)) {
      g.output(edited, `tap:${point}`, 'float32', shape);
      outputs.push(`tap:${point}`);
    }
    return edited;
  };
  const span = new SpanContext(g, layout, operators, (kind, layer, value) => atPoint(`${kind}.${layer}` as Point, value));

  let x =
    spec.from === null
      ? model.embed(span, span.input('ids', 'int32', ['B', 'T']))
      : span.input('residual', 'float32', shape);
  x = atPoint(`stream.${start}`, x);
  const end = spec.logits === 'none' ? Math.max(start, ...spec.taps.map(layersBefore)) : model.layers;
  for (let layer = start; layer < end; layer++) x = atPoint(`stream.${layer + 1}`, model.layer(span, layer, x));
  invariant(wanted.size === 0, `span never reaches ${[...wanted].join(', ')}`);
  if (spec.logits === 'all') {
    g.output(model.head(span, x), 'logits', 'float32', ['B', 'T', model.vocabSize]);
  } else if (spec.logits === 'last') {
    const last = span.ops.gather(span.ops.reshape(x, [-1, model.dModel]), span.input('last', 'int64', ['B']));
    g.output(model.head(span, last), 'logits', 'float32', ['B', model.vocabSize]);
  }
  if (spec.logits !== 'none') outputs.push('logits');
  return { bytes: g.encode(), inputs: span.inputs, outputs, weightBytes: span.weightBytes };
}
