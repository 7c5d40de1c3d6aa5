import { CallerError } from '../domain/errors.ts';
import type { Value } from '../onnx/graphBuilder.ts';
import { activationFunction } from './activationFunction.ts';
import type { Architecture, WeightEntry } from './architecture.ts';
import { causalAttention } from './attention.ts';
import type { Projection } from './attention.ts';

/** GPT-2 (Radford et al. 2019): learned positions, serial residual, weights stored [in, out], tied head. */
export const gpt2: Architecture = {
  modelType: 'gpt2',
  read(config) {
    const dModel = config.count('n_embd');
    const layers = config.count('n_layer');
    const heads = config.count('n_head');
    const inner = config.count('n_inner', 4 * dModel);
    const vocabSize = config.count('vocab_size');
    const contextLength = config.count('n_positions', 1024);
    const epsilon = config.number('layer_norm_epsilon', 1e-5);
    const tied = config.boolean('tie_word_embeddings', true);
    const scaled = config.boolean('scale_attn_weights', true);
    const scaledByLayer = config.boolean('scale_attn_by_inverse_layer_idx', false);
    const activation = activationFunction(config.text('activation_function', 'gelu_new'));
    if (config.boolean('add_cross_attention', false)) {
      throw new CallerError('UNSUPPORTED', 'config.json: add_cross_attention is not supported');
    }
    if (dModel % heads !== 0) {
      throw new CallerError('BAD_MODEL_FILE', `config.json: n_embd ${dModel} is no multiple of n_head ${heads}`);
    }
    const headDim = dModel / heads;
    const weights: WeightEntry[] = [];
    const plain = (tensor: string, dims: readonly number[]): void => {
      weights.push({ name: tensor, dims, sources: [{ tensor, dims }] });
    };
    const linear = (name: string, from: number, to: number): void => {
      const tensor = `${name}.weight`;
      weights.push({ name: tensor, dims: [to, from], sources: [{ tensor, dims: [from, to] }], arrange: ([source], out) => transpose(source, out, from, to) });
      plain(`${name}.bias`, [to]);
    };
    plain('wte.weight', [vocabSize, dModel]);
    plain('wpe.weight', [contextLength, dModel]);
    for (let l = 0; l < layers; l++) {
      for (const norm of ['ln_1', 'ln_2']) {
        plain(`h.${l}.${norm}.weight`, [dModel]);
        plain(`h.${l}.${norm}.bias`, [dModel]);
      }
      linear(`h.${l}.attn.c_attn`, dModel, 3 * dModel);
      linear(`h.${l}.attn.c_proj`, dModel, dModel);
      linear(`h.${l}.mlp.c_fc`, dModel, inner);
      linear(`h.${l}.mlp.c_proj`, inner, dModel);
    }
    plain('ln_f.weight', [dModel]);
    plain('ln_f.bias', [dModel]);
    if (!tied) plain('lm_head.weight', [vocabSize, dModel]);
    const unembedding = tied ? 'wte.weight' : 'lm_head.weight';

    return {
      architecture: 'gpt2',
      layers,
      dModel,
      vocabSize,
      contextLength,
      optionalPrefix: 'transformer.',
      weights,
      unembedding,
      finalNorm: { gain: 'ln_f.weight', centres: true },
      embed(span, ids) {
        if (span.cache !== null) {
          return span.ops.add(span.ops.gather(span.weight('wte.weight'), ids), span.ops.gather(span.weight('wpe.weight'), span.positions()));
        }
        const total = span.ops.unsqueeze(span.ops.cast(span.input('total', 'int32', []), 'int64'), [0]);
        const positions = span.g.node('Slice', [span.weight('wpe.weight'), span.g.int([0]), total, span.g.int([0])]);
        return span.ops.add(span.ops.gather(span.weight('wte.weight'), ids), positions);
      },
      layer(span, l, stream) {
        const { ops } = span;
        const at = `h.${l}`;
        const norm = (value: Value, name: string) =>
          span.layerNorm(value, `${at}.${name}.weight`, `${at}.${name}.bias`, epsilon);
        const project = (value: Value, name: string) => span.linear(value, `${at}.${name}.weight`, `${at}.${name}.bias`);
        const scale = (scaled ? 1 / Math.sqrt(headDim) : 1) / (scaledByLayer ? l + 1 : 1);
        const input = norm(stream, 'ln_1');
        const qkv: Projection['project'] = (part, of = input) => span.linear(of, `${at}.attn.c_attn.weight`, `${at}.attn.c_attn.bias`, part);
        const mixed = causalAttention(span, { input, project: qkv }, { heads, kvHeads: heads, headDim, scale });
        const middle = ops.add(span.narrow(stream), span.hook('attn_out', l, project(mixed, 'attn.c_proj')));
        const hidden = activation(span.g, project(span.hook('mlp_in', l, norm(middle, 'ln_2')), 'mlp.c_fc'));
        return ops.add(middle, span.hook('mlp_out', l, project(hidden, 'mlp.c_proj')));
      },
      head: (span, x) => span.linear(span.layerNorm(x, 'ln_f.weight', 'ln_f.bias', epsilon), unembedding),
    };
  },
};

/** [rows, cols] to [cols, rows], in blocks that stay in cache. */
function transpose(from: Float32Array, out: Float32Array, rows: number, cols: number): void {
  const block = 32;
  for (let r0 = 0; r0 < rows; r0 += block) {
    for (let c0 = 0; c0 < cols; c0 += block) {
      const r1 = Math.min(r0 + block, rows);
      const c1 = Math.min(c0 + block, cols);
      for (let r = r0; r < r1; r++) for (let c = c0; c < c1; c++) out[c * rows + r] = from[r * cols + c];
    }
  }
}
