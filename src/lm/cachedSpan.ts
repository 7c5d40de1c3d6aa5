import { invariant } from '../domain/errors.ts';
import { GraphBuilder } from '../onnx/graphBuilder.ts';
import type { Value } from '../onnx/graphBuilder.ts';
import type { LanguageModel } from './architecture.ts';
import { FeatureEdits } from './featureEdits.ts';
import type { EditGroup } from './featureEdits.ts';
import type { Point } from './point.ts';
import { SpanContext } from './spanContext.ts';
import type { KeyValueCache, OperatorSet } from './spanContext.ts';
import type { WeightLayout } from './weightLayout.ts';

export interface CachedSpan {
  /** ModelProto; its weights are external data under WEIGHTS_LOCATION. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /**
   * `ids` int32 and `positions` int64 [B, T]; `lastKey` int32 [B], the position of each row's last new token; `total` int32
   * scalar, the greatest of them + 1; `rows` int64 [N], flat places b·T + t whose logits are wanted; `key.l` and `value.l`
   * float32 [B, kvHeads, P, headDim]; `delta:POINT` float32 [B, T, D] per site. Several new tokens (T > 1) behind earlier
   * ones are for one row at a time. With edits of features also what featureEdits.ts lists.
   */
  readonly inputs: readonly string[];
  /**
   * `logits` [N, V], then per layer `newKey.l` and `newValue.l` [B, kvHeads, T, headDim], for the caller to append. (The fused
   * operator can write into the memory of its inputs, but onnxruntime-node copies every output it returns, whole.)
   */
  readonly outputs: readonly string[];
  readonly layers: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Bytes of the weights it reads. */
  readonly weightBytes: number;
}

/**
 * Compiles the whole model as one graph that continues rows of tokens: keys and values of earlier positions come in, those of
 * the new positions go out. One graph serves long pieces of a prompt and single tokens, so its packed weights exist once.
 * `sites` are points to add to on the way, as in a span; `edits` are features edited after that.
 */
export function compileCachedSpan(model: LanguageModel, layout: WeightLayout, sites: readonly Point[], operators: OperatorSet, edits: readonly EditGroup[] = []): CachedSpan {
  const g = new GraphBuilder('cached');
  const edited = new Set(sites);
  const features = new FeatureEdits(edits);
  const outputs: string[] = ['logits'];
  const kept: { key: Value; value: Value }[] = [];
  let shape: { readonly kvHeads: number; readonly headDim: number } | undefined;

  const cache: KeyValueCache = {
    next({ kvHeads, headDim }) {
      shape ??= { kvHeads, headDim };
      const layer = kept.length;
      const dims = ['B', kvHeads, 'P', headDim] as const;
      return {
        key: span.input(`key.${layer}`, 'float32', dims),
        value: span.input(`value.${layer}`, 'float32', dims),
        keep: (key, value) => void kept.push({ key, value }),
      };
    },
  };
  const atPoint = (point: Point, value: Value): Value => {
    const x = edited.delete(point) ? span.ops.add(value, span.input(`delta:${point}`, 'float32', ['B', 'T', model.dModel])) : value;
    return features.at(span, point, x);
  };
  const span = new SpanContext(g, layout, operators, (kind, layer, value) => atPoint(`${kind}.${layer}` as Point, value), cache);

  let x = atPoint('stream.0', model.embed(span, span.input('ids', 'int32', ['B', 'T'])));
  for (let layer = 0; layer < model.layers; layer++) x = atPoint(`stream.${layer + 1}`, model.layer(span, layer, x));
  invariant(edited.size === 0, `no such points: ${[...edited].join(', ')}`);
  features.finish();
  const wanted = span.ops.gather(span.ops.reshape(x, [-1, model.dModel]), span.input('rows', 'int64', ['N']));
  g.output(model.head(span, wanted), 'logits', 'float32', ['N', model.vocabSize]);
  invariant(shape !== undefined && kept.length === model.layers, 'every layer attends once');
  const dims = ['B', shape.kvHeads, 'T', shape.headDim] as const;
  for (const [layer, { key, value }] of kept.entries()) {
    g.output(key, `newKey.${layer}`, 'float32', dims);
    g.output(value, `newValue.${layer}`, 'float32', dims);
    outputs.push(`newKey.${layer}`, `newValue.${layer}`);
  }
  return { bytes: g.encode(), inputs: span.inputs, outputs, layers: model.layers, ...shape, weightBytes: span.weightBytes };
}
