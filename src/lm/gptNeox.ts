import { CallerError } from '../domain/errors.ts';
import type { Value } from '../onnx/graphBuilder.ts';
import { activationFunction } from './activationFunction.ts';
import type { Architecture, WeightEntry } from './architecture.ts';
import { causalAttention } from './attention.ts';
import type { Projection } from './attention.ts';
import { readRotary } from './rotary.ts';

/** GPT-NeoX (Black et al. 2022), the architecture of Pythia: rotary on part of each head, parallel or serial residual. */
export const gptNeox: Architecture = {
  modelType: 'gpt_neox',
  read(config) {
    const dModel = config.count('hidden_size');
    const layers = config.count('num_hidden_layers');
    const heads = config.count('num_attention_heads');
    const inner = config.count('intermediate_size');
    const vocabSize = config.count('vocab_size');
    const contextLength = config.count('max_position_embeddings', 2048);
    const epsilon = config.number('layer_norm_eps', 1e-5);
    const parallel = config.boolean('use_parallel_residual', true);
    const attentionBias = config.boolean('attention_bias', true);
    const tied = config.boolean('tie_word_embeddings', false);
    const activation = activationFunction(config.text('hidden_act', 'gelu'));
    if (dModel % heads !== 0) {
      throw new CallerError('BAD_MODEL_FILE', `config.json: hidden_size ${dModel} is no multiple of num_attention_heads ${heads}`);
    }
    const headDim = dModel / heads;
    const rotary = readRotary(config, {
      headDim,
      contextLength,
      theta: config.number('rotary_emb_base', config.number('rope_theta', 10000)),
      share: config.number('rotary_pct', 0.25),
    });
    const weights: WeightEntry[] = [];
    const plain = (tensor: string, dims: readonly number[]): void => {
      weights.push({ name: tensor, dims, sources: [{ tensor, dims }] });
    };
    /** The checkpoint keeps q, k, v of each head together; we want all q, all k, all v. `width` is a row's length. */
    const fused = (tensor: string, dims: readonly number[], width: number): void => {
      weights.push({ name: tensor, dims, sources: [{ tensor, dims }], arrange: ([from], out) => ungroup(from, out, heads, headDim * width) });
    };
    plain('embed_in.weight', [vocabSize, dModel]);
    for (let l = 0; l < layers; l++) {
      const at = `layers.${l}`;
      for (const norm of ['input_layernorm', 'post_attention_layernorm']) {
        plain(`${at}.${norm}.weight`, [dModel]);
        plain(`${at}.${norm}.bias`, [dModel]);
      }
      fused(`${at}.attention.query_key_value.weight`, [3 * dModel, dModel], dModel);
      plain(`${at}.attention.dense.weight`, [dModel, dModel]);
      if (attentionBias) {
        fused(`${at}.attention.query_key_value.bias`, [3 * dModel], 1);
        plain(`${at}.attention.dense.bias`, [dModel]);
      }
      plain(`${at}.mlp.dense_h_to_4h.weight`, [inner, dModel]);
      plain(`${at}.mlp.dense_h_to_4h.bias`, [inner]);
      plain(`${at}.mlp.dense_4h_to_h.weight`, [dModel, inner]);
      plain(`${at}.mlp.dense_4h_to_h.bias`, [dModel]);
    }
    plain('final_layer_norm.weight', [dModel]);
    plain('final_layer_norm.bias', [dModel]);
    if (!tied) {
      // transformers 5 renames it when loading; a state dict saved as it is has the new name.
      const source = { tensor: 'embed_out.weight', alias: 'lm_head.weight', dims: [vocabSize, dModel] };
      weights.push({ name: source.tensor, dims: source.dims, sources: [source] });
    }
    const unembedding = tied ? 'embed_in.weight' : 'embed_out.weight';

    return {
      architecture: 'gpt_neox',
      layers,
      dModel,
      vocabSize,
      contextLength,
      optionalPrefix: 'gpt_neox.',
      weights,
      unembedding,
      finalNorm: { gain: 'final_layer_norm.weight', centres: true },
      embed: (span, ids) => span.ops.gather(span.weight('embed_in.weight'), ids),
      layer(span, l, stream) {
        const { ops } = span;
        const at = `layers.${l}`;
        const norm = (value: Value, name: string) =>
          span.layerNorm(value, `${at}.${name}.weight`, `${at}.${name}.bias`, epsilon);
        const linear = (value: Value, name: string, bias: boolean) =>
          span.linear(value, `${at}.${name}.weight`, bias ? `${at}.${name}.bias` : undefined);
        const input = norm(stream, 'input_layernorm');
        const project: Projection['project'] = (part, of = input) =>
          span.linear(of, `${at}.attention.query_key_value.weight`, attentionBias ? `${at}.attention.query_key_value.bias` : undefined, part);
        const mixed = causalAttention(span, { input, project }, { heads, kvHeads: heads, headDim, rotary });
        const x = span.narrow(stream);
        const attention = span.hook('attn_out', l, linear(mixed, 'attention.dense', attentionBias));
        // Parallel: the MLP reads the stream before attention's contribution; serial: after it.
        const middle = ops.add(x, attention);
        const normed = span.hook('mlp_in', l, norm(parallel ? x : middle, 'post_attention_layernorm'));
        const hidden = linear(normed, 'mlp.dense_h_to_4h', true);
        const mlp = span.hook('mlp_out', l, linear(activation(span.g, hidden), 'mlp.dense_4h_to_h', true));
        return ops.add(middle, mlp);
      },
      head(span, x) {
        const normed = span.layerNorm(x, 'final_layer_norm.weight', 'final_layer_norm.bias', epsilon);
        return span.linear(normed, unembedding);
      },
    };
  },
};

/** [heads, 3, block] to [3, heads, block]. */
function ungroup(from: Float32Array, out: Float32Array, heads: number, block: number): void {
  for (let head = 0; head < heads; head++) {
    for (let part = 0; part < 3; part++) {
      const start = (head * 3 + part) * block;
      out.set(from.subarray(start, start + block), (part * heads + head) * block);
    }
  }
}
