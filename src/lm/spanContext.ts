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

/** What an architecture's graph pieces are written against: one span under construction. */
export class SpanContext {
  readonly g: GraphBuilder;
  readonly ops: Ops;
  readonly operators: OperatorSet;
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
  ) {
    this.g = g;
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

  /** A weight of the model, by the name of its entry. */
  weight(name: string): Value {
    return this.once(`weight:${name}`, () => {
      const entry = this.#layout.entries.get(name);
      invariant(entry !== undefined, `no weight ${name}`);
      const { dims, offset, byteLength } = entry;
      this.#weightBytes += byteLength;
      return this.g.externalInitializer(name, 'float32', dims, { location: WEIGHTS_LOCATION, offset, byteLength });
    });
  }

  /** x·Wᵀ + b with W [out, in], torch's Linear. onnxruntime packs the constant W when the session is created. */
  linear(x: Value, weight: string, bias?: string): Value {
    const product = this.g.node('FusedMatMul', [x, this.weight(weight)], { transB: 1 }, { domain: 'com.microsoft' });
    return bias === undefined ? product : this.ops.add(product, this.weight(bias));
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
