import { CallerError } from '../domain/errors.ts';
import type { GraphBuilder, Value } from '../onnx/graphBuilder.ts';

/** An MLP's nonlinearity as a graph piece. */
export type ActivationFunction = (g: GraphBuilder, x: Value) => Value;

const tanhGelu: ActivationFunction = (g, x) => g.node('Gelu', [x], { approximate: 'tanh' });
/** x·sigmoid(x), which onnxruntime calls QuickGelu with alpha 1. */
const silu: ActivationFunction = (g, x) => g.node('QuickGelu', [x], { alpha: { float: 1 } }, { domain: 'com.microsoft' });

/** By the names Hugging Face configs use. */
const FUNCTIONS: Readonly<Record<string, ActivationFunction>> = {
  gelu: (g, x) => g.node('Gelu', [x], { approximate: 'none' }),
  gelu_new: tanhGelu,
  gelu_fast: tanhGelu,
  gelu_pytorch_tanh: tanhGelu,
  quick_gelu: (g, x) => g.node('QuickGelu', [x], { alpha: { float: 1.702 } }, { domain: 'com.microsoft' }),
  relu: (g, x) => g.node('Relu', [x]),
  silu,
  swish: silu,
};

/** Throws UNSUPPORTED for a name we do not compute. */
export function activationFunction(name: string): ActivationFunction {
  const found = Object.hasOwn(FUNCTIONS, name) ? FUNCTIONS[name] : undefined;
  if (found === undefined) {
    throw new CallerError(
      'UNSUPPORTED',
      `config.json: activation "${name}" is not supported, expected one of ${Object.keys(FUNCTIONS).join(', ')}`,
    );
  }
  return found;
}
