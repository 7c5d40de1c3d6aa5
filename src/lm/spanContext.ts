import { invariant } from '../domain/errors.ts';
import type { HookKind } from '../domain/hookPoint.ts';
import type { GraphBuilder, Value } from '../onnx/graphBuilder.ts';
import { opsOf } from '../onnx/ops.ts';
import type { Ops } from '../onnx/ops.ts';
import type { Dim, ElementType } from '../onnx/tensor.ts';
import type { WeightLayout } from './weightLayout.ts';

/** File name under which graphs refer to the shared weight buffer. */
export const WEIGHTS_LOCATION = 'weights';

/** Which operators the device has: `cpu` uses onnxruntime's fused attention, `plain` only standard ones. */
export type OperatorSet = 'cpu' | 'plain';

/** Rows [from, from + count) of a weight. */
export interface Rows {
  readonly from: number;
  readonly count: number;
}

/** Keys and values of earlier positions, where a span has them: cachedSpan.ts makes it, attention reads and continues it. */
export interface KeyValueCache {
  /** Those of the next attention; the layers call in order. */
  next(shape: { readonly kvHeads: number; readonly headDim: number }): CachedLayer;
}

export interface CachedLayer {
  /** [B, kvHeads, P, headDim]; of row b only positions before its first new one count. */
  readonly key: Value;
  readonly value: Value;
  /** Hands on the keys and values of the new positions [B, kvHeads, T, headDim]. */
  keep(key: Value, value: Value): void;
}

type WeightPlace = WeightLayout['entries'] extends ReadonlyMap<string, infer Place> ? Place : never;

/** What an architecture's graph pieces are written against: one span under construction. */
export class SpanContext {
  readonly g: GraphBuilder;
  readonly ops: Ops;
  /** May change between layers. */
  operators: OperatorSet;
  /**
   * Where a layer is computed only at some positions [B, S] (all positions are still attended to): the places b·T + t and the
   * positions t of its rows, both int64 [B, S], and the width of the stream. May change between layers.
   */
  narrowed: { readonly places: Value; readonly positions: Value; readonly width: number } | null = null;
  /** Null in a span that sees each row from its beginning. */
  readonly cache: KeyValueCache | null;
  readonly #layout: WeightLayout;
  readonly #onHook: (kind: HookKind, layer: number, value: Value) => Value;
  readonly #shared = new Map<string, Value>();
  readonly #inputs: string[] = [];
  #weightBytes = 0;

  constructor(
    g: GraphBuilder,
    layout: WeightLayout,
    operators: OperatorSet,
    onHook: (kind: HookKind, layer: number, value: Value) => Value,
    cache: KeyValueCache | null = null,
  ) {
    this.g = g;
    this.cache = cache;
    this.ops = opsOf(g);
    this.operators = operators;
    this.#layout = layout;
    this.#onHook = onHook;
  }

  /** Names of the inputs used so far, in order of first use. */
  get inputs(): readonly string[] {
    return this.#inputs;
  }

  /** Bytes of the weights used so far. */
  get weightBytes(): number {
    return this.#weightBytes;
  }

  /** Makes a value once per span, under a key of the caller's. */
  once(key: string, make: () => Value): Value {
    let value = this.#shared.get(key);
    if (value === undefined) {
      value = make();
      this.#shared.set(key, value);
    }
    return value;
  }

  /** Declares a graph input on first use. */
  input(name: string, type: ElementType, shape: readonly Dim[]): Value {
    return this.once(`input:${name}`, () => {
      this.#inputs.push(name);
      return this.g.input(name, type, shape);
    });
  }

  /** Place of each token in its row: int64 [T], or [B, T] where a cache stands before it. */
  positions(): Value {
    if (this.cache !== null) return this.input('positions', 'int64', ['B', 'T']);
    return this.once('positions', () => {
      const total = this.ops.cast(this.input('total', 'int32', []), 'int64');
      return this.g.node('Range', [this.g.int(0), total, this.g.int(1)]);
    });
  }

  /** Of vectors at all positions [B, T, D] those the layer is computed at [B, S, D]: all, unless it is narrowed. */
  narrow(x: Value): Value {
    const { narrowed, ops } = this;
    if (narrowed === null) return x;
    return this.once(`narrow:${x}`, () => ops.gather(ops.reshape(x, [-1, narrowed.width]), narrowed.places));
  }

  /** A weight of the model, by the name of its entry; or only some of its rows, which lie together in the buffer. */
  weight(name: string, rows?: Rows): Value {
    const key = rows === undefined ? name : `${name}[${rows.from},${rows.count}]`;
    return this.once(`weight:${key}`, () => {
      const { dims, offset, byteLength } = this.#entry(name);
      const [all, ...rest] = dims;
      const { from, count } = rows ?? { from: 0, count: all };
      invariant(from >= 0 && from + count <= all, `rows ${from} to ${from + count} of weight ${name}`);
      const rowBytes = byteLength / all;
      this.#weightBytes += count * rowBytes;
      const place = { location: WEIGHTS_LOCATION, offset: offset + from * rowBytes, byteLength: count * rowBytes };
      return this.g.externalInitializer(key, 'float32', [count, ...rest], place);
    });
  }

  /**
   * x·Wᵀ + b with x [B, T, in] and W [out, in], torch's Linear, or only the given rows of W and b. onnxruntime packs the
   * constant W when the session is created. On the CPU a bias goes into Gemm, which spares a pass over the product; Gemm
   * knows two dimensions only, and the reshapes around it move no data.
   */
  linear(x: Value, weight: string, bias?: string, rows?: Rows): Value {
    const w = this.weight(weight, rows);
    if (bias === undefined || this.operators === 'plain') {
      const product = this.g.node('FusedMatMul', [x, w], { transB: 1 }, { domain: 'com.microsoft' });
      return bias === undefined ? product : this.ops.add(product, this.weight(bias, rows));
    }
    const [out, width] = this.#entry(weight).dims;
    const flat = this.once(`flat:${x}`, () => this.ops.reshape(x, [-1, width]));
    const product = this.ops.gemm(flat, w, { transB: true, c: this.weight(bias, rows) });
    const leading = this.once(`leading:${x}`, () => this.g.node('Shape', [x], { start: 0, end: 2 }));
    const count = rows?.count ?? out;
    const shape = this.once(`shape:${x}:${count}`, () => this.ops.concat([leading, this.g.int([count])], 0));
    return this.g.node('Reshape', [product, shape]);
  }

  #entry(name: string): WeightPlace {
    const entry = this.#layout.entries.get(name);
    invariant(entry !== undefined, `no weight ${name}`);
    return entry;
  }

  layerNorm(x: Value, gain: string, bias: string, epsilon: number): Value {
    const inputs = [x, this.weight(gain), this.weight(bias)];
    return this.g.node('LayerNormalization', inputs, { axis: -1, epsilon: { float: epsilon } });
  }

  /** x / sqrt(mean(x²) + epsilon) · gain; onnxruntime keeps this operator in the standard domain under this name. */
  rmsNorm(x: Value, gain: string, epsilon: number): Value {
    const inputs = [x, this.weight(gain)];
    return this.g.node('SimplifiedLayerNormalization', inputs, { axis: -1, epsilon: { float: epsilon } });
  }

  /** Marks a hook point: adds the edit's delta where there is one, records the tap, returns what flows on. */
  hook(kind: HookKind, layer: number, value: Value): Value {
    return this.#onHook(kind, layer, value);
  }
}
