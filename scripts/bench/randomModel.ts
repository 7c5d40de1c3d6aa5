import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readLanguageModel } from '../../src/lm/registry.ts';

/** GPT-NeoX shapes to measure on: config.json as Hugging Face writes it, without the fields that have their default. */
export function neoxConfig(shape: { readonly d: number; readonly layers: number; readonly heads: number; readonly inner: number; readonly vocab: number; readonly context: number }) {
  return {
    architectures: ['GPTNeoXForCausalLM'],
    model_type: 'gpt_neox',
    hidden_size: shape.d,
    num_hidden_layers: shape.layers,
    num_attention_heads: shape.heads,
    intermediate_size: shape.inner,
    vocab_size: shape.vocab,
    max_position_embeddings: shape.context,
    rotary_pct: 0.25,
    rotary_emb_base: 10000,
    hidden_act: 'gelu',
    use_parallel_residual: true,
    tie_word_embeddings: false,
  };
}

/** Writes a model folder with seeded random weights: gains near 1, everything else uniform with standard deviation 0.02. */
export function writeRandomModel(folder: string, config: object, seed: number): void {
  const model = readLanguageModel(config);
  mkdirSync(folder, { recursive: true });
  const header: Record<string, unknown> = {};
  let offset = 0;
  const sources = model.weights.flatMap((weight) => weight.sources);
  const named = sources.map(({ tensor, dims }) => {
    const length = dims.reduce((product, dim) => product * dim, 1);
    // Only the unembedding stands outside the base model.
    const name = tensor === 'embed_out.weight' ? tensor : model.optionalPrefix + tensor;
    header[name] = { dtype: 'F32', shape: dims, data_offsets: [offset, offset + 4 * length] };
    offset += 4 * length;
    return { name, length };
  });
  const json = Buffer.from(JSON.stringify(header));
  const padded = Buffer.alloc(Math.ceil(json.length / 8) * 8, ' ');
  json.copy(padded);
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(padded.length));
  const data = new Float32Array(offset / 4);
  let state = seed >>> 0;
  let at = 0;
  for (const { name, length } of named) {
    const isGain = name.endsWith('norm.weight');
    for (let i = 0; i < length; i++) {
      // A 32-bit linear congruential generator is random enough for a timing.
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      data[at++] = (isGain ? 1 : 0) + (state / 2 ** 32 - 0.5) * 0.02 * Math.sqrt(12);
    }
  }
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config, null, 2));
  writeFileSync(join(folder, 'model.safetensors'), Buffer.concat([size, padded, Buffer.from(data.buffer)]));
}
