import { CallerError } from '../domain/errors.ts';
import type { Value } from '../onnx/graphBuilder.ts';
import { activationFunction } from './activationFunction.ts';
import type { Architecture, WeightEntry } from './architecture.ts';
import { causalAttention } from './attention.ts';
import type { Projection } from './attention.ts';
import { readRotary } from './rotary.ts';

/** Llama (Touvron et al. 2023): RMS norms, rotary over whole heads, grouped-query attention, gated MLP. */
export const llama: Architecture = {
  modelType: 'llama',
  read(config) {
    const dModel = config.count('hidden_size');
    const layers = config.count('num_hidden_layers');
    const heads = config.count('num_attention_heads');
    const kvHeads = config.count('num_key_value_heads', heads);
    const headDim = config.count('head_dim', Math.max(1, Math.floor(dModel / heads)));
    const inner = config.count('intermediate_size');
    const vocabSize = config.count('vocab_size');
    const contextLength = config.count('max_position_embeddings', 2048);
    const epsilon = config.number('rms_norm_eps', 1e-6);
    const attentionBias = config.boolean('attention_bias', false);
    const mlpBias = config.boolean('mlp_bias', false);
    const tied = config.boolean('tie_word_embeddings', false);
    const activation = activationFunction(config.text('hidden_act', 'silu'));
    if (heads % kvHeads !== 0) {
      throw new CallerError(
        'BAD_MODEL_FILE',
        `config.json: num_attention_heads ${heads} is no multiple of num_key_value_heads ${kvHeads}`,
      );
    }
    const rotary = readRotary(config, { headDim, contextLength, theta: config.number('rope_theta', 10000), share: 1 });
    const weights: WeightEntry[] = [];
    const plain = (tensor: string, dims: readonly number[]): void => {
      weights.push({ name: tensor, dims, sources: [{ tensor, dims }] });
    };
    /** Several projections of the same input as one, rows one after the other; `parts` are [tensor stem, rows]. */
    const fused = (name: string, parts: readonly (readonly [string, number])[], from: number, bias: boolean): void => {
      const rows = parts.reduce((sum, [, count]) => sum + count, 0);
      weights.push({ name: `${name}.weight`, dims: [rows, from], sources: parts.map(([stem, count]) => ({ tensor: `${stem}.weight`, dims: [count, from] })) });
      if (bias) {
        weights.push({ name: `${name}.bias`, dims: [rows], sources: parts.map(([stem, count]) => ({ tensor: `${stem}.bias`, dims: [count] })) });
      }
    };
    plain('embed_tokens.weight', [vocabSize, dModel]);
    for (let l = 0; l < layers; l++) {
      const at = `layers.${l}`;
      plain(`${at}.input_layernorm.weight`, [dModel]);
      plain(`${at}.post_attention_layernorm.weight`, [dModel]);
      const keys = kvHeads * headDim;
      const qkv = [
        [`${at}.self_attn.q_proj`, heads * headDim],
        [`${at}.self_attn.k_proj`, keys],
        [`${at}.self_attn.v_proj`, keys],
      ] as const;
      fused(`${at}.qkv`, qkv, dModel, attentionBias);
      fused(`${at}.self_attn.o_proj`, [[`${at}.self_attn.o_proj`, dModel]], heads * headDim, attentionBias);
      fused(`${at}.mlp.gate_up`, [[`${at}.mlp.gate_proj`, inner], [`${at}.mlp.up_proj`, inner]], dModel, mlpBias);
      fused(`${at}.mlp.down_proj`, [[`${at}.mlp.down_proj`, dModel]], inner, mlpBias);
    }
    plain('norm.weight', [dModel]);
    if (!tied) plain('lm_head.weight', [vocabSize, dModel]);
    const unembedding = tied ? 'embed_tokens.weight' : 'lm_head.weight';

    return {
      architecture: 'llama',
      layers,
      dModel,
      vocabSize,
      contextLength,
      optionalPrefix: 'model.',
      weights,
      unembedding,
      finalNorm: { gain: 'norm.weight', centres: false },
      embed: (span, ids) => span.ops.gather(span.weight('embed_tokens.weight'), ids),
      layer(span, l, stream) {
        const { ops } = span;
        const at = `layers.${l}`;
        const linear = (value: Value, name: string, bias: boolean) =>
          span.linear(value, `${at}.${name}.weight`, bias ? `${at}.${name}.bias` : undefined);
        const input = span.rmsNorm(stream, `${at}.input_layernorm.weight`, epsilon);
        const project: Projection['project'] = (part, of = input) => span.linear(of, `${at}.qkv.weight`, attentionBias ? `${at}.qkv.bias` : undefined, part);
        const mixed = causalAttention(span, { input, project }, { heads, kvHeads, headDim, rotary });
        const middle = ops.add(span.narrow(stream), span.hook('attn_out', l, linear(mixed, 'self_attn.o_proj', attentionBias)));
        const normed = span.hook('mlp_in', l, span.rmsNorm(middle, `${at}.post_attention_layernorm.weight`, epsilon));
        const [gate, up] = ops.split(linear(normed, 'mlp.gate_up', mlpBias), [inner, inner], -1);
        const hidden = ops.mul(activation(span.g, gate), up);
        return ops.add(middle, span.hook('mlp_out', l, linear(hidden, 'mlp.down_proj', mlpBias)));
      },
      head: (span, x) => span.linear(span.rmsNorm(x, 'norm.weight', epsilon), unembedding),
    };
  },
};
