import type { Rng } from '../math/rng.ts';
import type { LanguageModel, SourceTensor } from './architecture.ts';
import { ConfigReader } from './configReader.ts';

/** How one tensor of the checkpoint starts before training. */
export interface InitialTensor {
  readonly source: SourceTensor;
  /** A constant, or the standard deviation of a normal distribution about 0. */
  readonly start: { readonly constant: number } | { readonly deviation: number };
  /** Input or output embedding, or learned positions. */
  readonly embedding: boolean;
}

/**
 * The start of every weight as the Hugging Face implementation of the architecture draws it from config.json: matrices and
 * embeddings N(0, initializer_range), norm gains 1, biases 0; GPT-2's projections into the residual stream (c_proj) divided
 * by √(2·layers). What a model was really trained from may differ (Pythia's code scales by width and depth).
 */
export function initialWeights(config: unknown, model: LanguageModel): InitialTensor[] {
  const range = new ConfigReader(config).number('initializer_range', 0.02);
  const sources = new Map(model.weights.flatMap(({ sources: list }) => list).map((source) => [source.tensor, source]));
  return [...sources.values()].map((source) => {
    const { tensor, dims } = source;
    const embedding = /embed|lm_head|(^|\.)(wte|wpe)\./.test(tensor);
    if (dims.length === 1) return { source, embedding, start: { constant: tensor.endsWith('bias') ? 0 : 1 } };
    const deviation = model.architecture === 'gpt2' && tensor.endsWith('c_proj.weight') ? range / Math.sqrt(2 * model.layers) : range;
    return { source, embedding, start: { deviation } };
  });
}

/** The next numbers of a tensor. */
export function drawInitial(out: Float32Array, start: InitialTensor['start'], rng: Rng): void {
  if ('constant' in start) out.fill(start.constant);
  else for (let i = 0; i < out.length; i++) out[i] = start.deviation * rng.normal();
}
