import { invariant } from '../domain/errors.ts';
import { GraphBuilder } from '../onnx/graphBuilder.ts';
import { gradients } from '../onnx/gradient.ts';
import type { Value } from '../onnx/graphBuilder.ts';
import type { Dim } from '../onnx/tensor.ts';
import type { LanguageModel } from './architecture.ts';
import { layerOf, layersBefore } from './point.ts';
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
  /**
   * Whether the last layer is computed only at the places b·T + t of input `places` (int64 [B, S]; `positions` [B, S] has t): what
   * lies behind its attention, taps, deltas and the stream that logits are made of, is then [B, S, D], and `last` counts in it.
   */
  readonly narrow?: boolean;
  /**
   * Gradients of Σ cotangent·of, `of` a point (input `cotangent` [B, T, D]) or the logits at the positions of input `last`
   * (`cotangent` [B, V]); output `grad:POINT` [B, T, D] for each of `wrt`, none after `of`. Null: forward only.
   */
  readonly gradient?: { readonly of: Point | 'logits'; readonly wrt: readonly Point[] } | null;
}

export interface CompiledSpan {
  /** ModelProto; its weights are external data under WEIGHTS_LOCATION. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /**
   * Inputs the graph reads: `ids` int32 [B, T], `residual` and `delta:*` float32 [B, T, D], `last` int64 [B], `lastKey` int32
   * [B] (every entry T - 1), `total` int32 scalar (T), `cotangent` float32, `places` and `positions` int64 [B, S].
   */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Bytes of the weights it reads: what a session for it costs, at least; twice where it runs backward, which has them packed the other way round. */
  readonly weightBytes: number;
}

/** Equal specs have equal keys. */
export function spanKey(spec: SpanSpec): string {
  const backward = spec.gradient === null || spec.gradient === undefined ? [] : [spec.gradient.of, [...spec.gradient.wrt].sort()];
  return JSON.stringify([spec.from, [...spec.taps].sort(), [...spec.sites].sort(), spec.logits, spec.narrow === true, ...backward]);
}

/**
 * Compiles a span to ONNX. Layers past the last tap are left out when no logits are asked for. Layers that are run backward
 * use standard operators, the only ones with gradients.
 */
export function compileSpan(model: LanguageModel, layout: WeightLayout, spec: SpanSpec, operators: OperatorSet): CompiledSpan {
  const start = spec.from ?? 0;
  const wanted = new Set(spec.taps);
  const sites = new Set(spec.sites);
  const { of, wrt }: { of: Point | 'logits' | null; wrt: readonly Point[] } = spec.gradient ?? { of: null, wrt: [] };
  const kept = new Map<Point | 'logits', Value>();
  const outputs: string[] = [];
  const g = new GraphBuilder('span');
  let shape: readonly Dim[] = ['B', 'T', model.dModel];
  const output = (value: Value, name: string): void => {
    g.output(value, name, 'float32', shape);
    outputs.push(name);
  };

  const atPoint = (point: Point, value: Value): Value => {
    const edited = sites.has(point) ? span.ops.add(value, span.input(`delta:${point}`, 'float32', shape)) : value;
    g.declareShape(edited, shape);
    if (wanted.delete(point)) output(edited, `tap:${point}`);
    if (point === of || wrt.includes(point)) kept.set(point, edited);
    return edited;
  };
  const span = new SpanContext(g, layout, operators, (kind, layer, value) => atPoint(`${kind}.${layer}` as Point, value));

  let x =
    spec.from === null
      ? model.embed(span, span.input('ids', 'int32', ['B', 'T']))
      : span.input('residual', 'float32', shape);
  x = atPoint(`stream.${start}`, x);
  const toLogits = spec.logits !== 'none' || of === 'logits';
  const ends = of === null || of === 'logits' ? spec.taps : [...spec.taps, of];
  const end = toLogits ? model.layers : Math.max(start, ...ends.map(layersBefore));
  const firstBackward = Math.min(...wrt.map(layerOf));
  for (let layer = start; layer < end; layer++) {
    if (layer >= firstBackward) span.operators = 'plain';
    if (spec.narrow === true && layer === end - 1) {
      const of = (name: string): Value => span.input(name, 'int64', ['B', 'S']);
      span.narrowed = { places: of('places'), positions: of('positions'), width: model.dModel };
      shape = ['B', 'S', model.dModel];
    }
    x = atPoint(`stream.${layer + 1}`, model.layer(span, layer, x));
  }
  invariant(wanted.size === 0, `span never reaches ${[...wanted].join(', ')}`);
  const lastRows = (): Value => span.ops.gather(span.ops.reshape(x, [-1, model.dModel]), span.input('last', 'int64', ['B']));
  const last = spec.logits === 'last' || of === 'logits' ? model.head(span, lastRows()) : null;
  if (spec.logits === 'all') g.output(model.head(span, x), 'logits', 'float32', ['B', 'T', model.vocabSize]);
  if (spec.logits === 'last') g.output(last!, 'logits', 'float32', ['B', model.vocabSize]);
  if (spec.logits !== 'none') outputs.push('logits');
  if (of !== null) {
    const objective = of === 'logits' ? last! : kept.get(of);
    const points = wrt.map((point) => kept.get(point));
    invariant(objective !== undefined && points.every((value) => value !== undefined), `span never reaches ${[of, ...wrt].join(', ')}`);
    const cotangent = span.input('cotangent', 'float32', of === 'logits' ? ['B', model.vocabSize] : shape);
    for (const [i, gradient] of gradients(g, objective, cotangent, points).entries()) output(gradient, `grad:${wrt[i]}`);
  }
  return { bytes: g.encode(), inputs: span.inputs, outputs, weightBytes: span.weightBytes * (of === null ? 1 : 2) };
}
