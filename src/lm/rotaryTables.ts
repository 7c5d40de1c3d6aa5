import type { Value } from '../onnx/graphBuilder.ts';
import type { Rotary } from './rotary.ts';
import type { SpanContext } from './spanContext.ts';

/** Cosine and sine tables [contextLength, dim/2] as constants of the span. */
export function rotaryTables(span: SpanContext, rotary: Rotary): readonly [Value, Value] {
  const width = rotary.dim / 2;
  const table = (name: string, data: Float32Array): Value =>
    span.once(name, () => span.g.initializer(name, 'float32', [data.length / width, width], data));
  return [table('rotary.cos', rotary.cos), table('rotary.sin', rotary.sin)];
}
