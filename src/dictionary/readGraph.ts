import type { DictionaryConfig, DictionaryWeights } from '../domain/dictionary.ts';
import type { GraphBuilder, Value } from '../onnx/graphBuilder.ts';
import { GraphBuilder as Builder } from '../onnx/graphBuilder.ts';
import { opsOf } from '../onnx/ops.ts';

/** What of a dictionary decides the shape of the graph that reads vectors with it. */
export type ReadShape = Pick<DictionaryConfig, 'dIn' | 'dOut' | 'nFeatures' | 'k'> & { readonly threshold: boolean; readonly skip: boolean; readonly transcoder: boolean };

export function readShapeOf({ config, threshold, skip }: DictionaryWeights): ReadShape {
  const { dIn, dOut, nFeatures, k, outputHookPoint } = config;
  return { dIn, dOut, nFeatures, k, threshold: threshold !== null, skip: skip !== null, transcoder: outputHookPoint !== null };
}

/**
 * c [N, F] from h [N, F] = x·encoderᵀ + b, as DictionaryWeights defines it: h where above θ (null: above 0), and of those at
 * most the k largest of a row.
 */
export function activate(g: GraphBuilder, h: Value, threshold: Value | null, k: number | null): Value {
  const { mul, greater, cast, relu } = opsOf(g);
  const positive = relu(h);
  const above = threshold === null ? positive : mul(positive, cast(greater(h, threshold), 'float32'));
  return k === null ? above : keepLargest(g, above, k);
}

/** Zero but for the k largest entries of each row of c [N, F]; of equal ones those with the lower index. */
export function keepLargest(g: GraphBuilder, c: Value, k: number): Value {
  const { mul } = opsOf(g);
  const [values, indices] = g.nodeWithOutputs('TopK', [c, g.int([k])], 2, { axis: -1, largest: 1, sorted: 1 });
  return g.node('ScatterElements', [mul(c, 0), indices!, values!], { axis: 1 });
}

/**
 * ONNX graph that reads vectors with a dictionary, for `x` [N, D] already divided by inputScale (and for a transcoder the
 * targets `y` [N, dOut] by outputScale). Other inputs by the names of DictionaryWeights, `threshold` [F] and `skip`
 * [dOut, D] only where the shape says so. Outputs: `codes` [N, F]; `reconstruction` [N, dOut], not yet multiplied by
 * outputScale; `squaredError` [N] = ‖target − x̂‖²; `firings` [F] = vectors on which each feature is active. Ask onnxruntime
 * only for those you need.
 */
export function readGraph({ dIn: D, dOut, nFeatures: F, k, threshold, skip, transcoder }: ReadShape): Uint8Array<ArrayBuffer> {
  const g = new Builder('dictionary-read');
  const { add, sub, gemm, sign, reduceSum, reduceSumSquare } = opsOf(g);
  const x = g.input('x', 'float32', ['N', D]);
  const target = transcoder ? g.input('y', 'float32', ['N', dOut]) : x;
  const encoder = g.input('encoder', 'float32', [F, D]);
  const encoderBias = g.input('encoderBias', 'float32', [F]);
  const decoder = g.input('decoder', 'float32', [F, dOut]);
  const decoderBias = g.input('decoderBias', 'float32', [dOut]);
  const theta = threshold ? g.input('threshold', 'float32', [F]) : null;
  const c = activate(g, gemm(x, encoder, { transB: true, c: encoderBias }), theta, k);
  const linear = skip ? gemm(x, g.input('skip', 'float32', [dOut, D]), { transB: true, c: decoderBias }) : null;
  const reconstruction = linear === null ? add(gemm(c, decoder), decoderBias) : gemm(c, decoder, { c: linear });
  g.output(c, 'codes', 'float32', ['N', F]);
  g.output(reconstruction, 'reconstruction', 'float32', ['N', dOut]);
  g.output(reduceSumSquare(sub(reconstruction, target), [1], false), 'squaredError', 'float32', ['N']);
  g.output(reduceSum(sign(c), [0], false), 'firings', 'float32', [F]);
  return g.encode();
}

/** The graph's fixed inputs as [name, data, shape], in the terms of any tensor library. */
export function readInputs(weights: Omit<DictionaryWeights, 'config'>, { dIn: D, dOut, nFeatures: F }: ReadShape): (readonly [string, Float32Array, readonly number[]])[] {
  const inputs: (readonly [string, Float32Array, readonly number[]])[] = [
    ['encoder', weights.encoder, [F, D]],
    ['encoderBias', weights.encoderBias, [F]],
    ['decoder', weights.decoder, [F, dOut]],
    ['decoderBias', weights.decoderBias, [dOut]],
  ];
  if (weights.threshold !== null) inputs.push(['threshold', weights.threshold, [F]]);
  if (weights.skip !== null) inputs.push(['skip', weights.skip, [dOut, D]]);
  return inputs;
}
