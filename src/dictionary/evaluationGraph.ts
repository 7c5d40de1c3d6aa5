import { GraphBuilder } from '../onnx/graphBuilder.ts';
import { opsOf } from '../onnx/ops.ts';

/**
 * ONNX graph that reads vectors with a dictionary: c = relu(x·Eᵀ + b), x̂ = c·W + b′, for `x` [N, D] already divided by
 * inputScale. Inputs besides x: `encoder` [F, D], `encoderBias` [F], `decoder` [F, D], `decoderBias` [D]. Outputs:
 * `squaredError` [N] = ‖x − x̂‖² of each vector, `firings` [F] = vectors on which each feature is active.
 */
export function evaluationGraph(D: number, F: number): Uint8Array<ArrayBuffer> {
  const g = new GraphBuilder('dictionary-evaluation');
  const { add, gemm, sign, reduceSum, reduceSumSquare } = opsOf(g);
  const x = g.input('x', 'float32', ['N', D]);
  const encoder = g.input('encoder', 'float32', [F, D]);
  const encoderBias = g.input('encoderBias', 'float32', [F]);
  const decoder = g.input('decoder', 'float32', [F, D]);
  const decoderBias = g.input('decoderBias', 'float32', [D]);
  const c = g.node('FusedGemm', [x, encoder, encoderBias], { transB: 1, activation: 'Relu' }, { domain: 'com.microsoft' });
  const error = add(gemm(c, decoder, { c: x, beta: -1 }), decoderBias);
  g.output(reduceSumSquare(error, [1], false), 'squaredError', 'float32', ['N']);
  g.output(reduceSum(sign(c), [0], false), 'firings', 'float32', [F]);
  return g.encode();
}
