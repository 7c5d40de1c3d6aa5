import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeTensorFile } from '../../src/adapters/files/tensorFile.ts';
import type { DictionaryWeights } from '../../src/domain/dictionary.ts';
import type { HookPoint } from '../../src/domain/hookPoint.ts';
import { tiedDictionary } from './tiedDictionary.ts';

/**
 * A GPT-NeoX model (serial branches, three layers) whose every weight is set by hand, so that its circuit is known: it writes `CLOSE`
 * after a `B` that some `A` came before. The stream is spanned by orthonormal directions u_0 … u_6 and a large constant one, which
 * keeps layer norms from changing anything but by 1e-4.
 *
 *     embed            u_0 = "this token is A", u_1 = "this token is B", u_5, u_6 = decoys: present, and read by nobody
 *     layer 1, heads   u_2 = "there was an A" (looks for u_0)
 *     layer 1, MLP     u_3 = u_1
 *     layer 2, MLP     u_4 = relu(2·u_2 + 2·u_3 − 3): 1 where both are, else 0
 *     logits           CLOSE = 8·u_4
 */
export const A = 1;
export const B = 2;
export const CLOSE = 3;
export const WORDS = 12;
export const D = 16;
const CONSTANT = 100;

/** u_i; u_7 is the constant one. */
export function direction(i: number): Float32Array {
  const u = new Float32Array(D);
  [u[2 * i], u[2 * i + 1]] = [Math.SQRT1_2, -Math.SQRT1_2];
  return u;
}

/** Rows of a matrix [rows, D]; those left out are 0. */
function matrix(rows: number, set: Readonly<Record<number, readonly (readonly [direction: number, factor: number])[]>>): Float32Array {
  const out = new Float32Array(rows * D);
  for (const [row, terms] of Object.entries(set)) for (const [i, factor] of terms) direction(i).forEach((v, q) => (out[Number(row) * D + q] += factor * v));
  return out;
}

function transposed(data: Float32Array, rows: number): Float32Array {
  return Float32Array.from({ length: data.length }, (_, i) => data[(i % rows) * D + Math.floor(i / rows)]);
}

export async function writeHandmadeModel(folder: string): Promise<string> {
  await mkdir(folder);
  const tensors = new Map<string, { shape: readonly number[]; data: Float32Array }>();
  const add = (name: string, shape: readonly number[], data: Float32Array = new Float32Array(shape.reduce((a, b) => a * b, 1))): void => void tensors.set(name, { shape, data });
  const gain = new Float32Array(D).fill(CONSTANT / Math.sqrt(D));
  const embedding = Array.from({ length: WORDS }, (_, id) => [id, [[7, CONSTANT], [6, 1], ...(id === A ? [[0, 1]] : id === B ? [[1, 1]] : id % 2 === 0 ? [[5, 1]] : [])] as [number, number][]]);
  add('gpt_neox.embed_in.weight', [WORDS, D], matrix(WORDS, Object.fromEntries(embedding)));
  for (let layer = 0; layer < 3; layer++) {
    const at = `gpt_neox.layers.${layer}`;
    for (const norm of ['input_layernorm', 'post_attention_layernorm']) {
      add(`${at}.${norm}.weight`, [D], gain);
      add(`${at}.${norm}.bias`, [D]);
    }
    // Query: the constant, on axis 8 (which no rotation turns). Key: u_0, on the same axis. Value: u_0, on axis 0.
    add(`${at}.attention.query_key_value.weight`, [3 * D, D], matrix(3 * D, layer === 1 ? { 8: [[7, 1]], [D + 8]: [[0, 1]], [2 * D]: [[0, 1]] } : {}));
    add(`${at}.attention.query_key_value.bias`, [3 * D]);
    add(`${at}.attention.dense.weight`, [D, D], transposed(matrix(D, layer === 1 ? { 0: [[2, 1]] } : {}), D));
    add(`${at}.attention.dense.bias`, [D]);
    const [reads, bias, writes] = layer === 1 ? [{ 0: [[1, 1]] as const }, 0, { 0: [[3, 1]] as const }] : layer === 2 ? [{ 0: [[2, 2], [3, 2]] as const }, -3, { 0: [[4, 1]] as const }] : [{}, 0, {}];
    add(`${at}.mlp.dense_h_to_4h.weight`, [4, D], matrix(4, reads));
    add(`${at}.mlp.dense_h_to_4h.bias`, [4], Float32Array.of(bias, 0, 0, 0));
    add(`${at}.mlp.dense_4h_to_h.weight`, [D, 4], transposed(matrix(4, writes), 4));
    add(`${at}.mlp.dense_4h_to_h.bias`, [D]);
  }
  add('gpt_neox.final_layer_norm.weight', [D], gain);
  add('gpt_neox.final_layer_norm.bias', [D]);
  add('embed_out.weight', [WORDS, D], matrix(WORDS, { [CLOSE]: [[4, 8]] }));
  await writeTensorFile(join(folder, 'model.safetensors'), tensors, { format: 'pt' });
  const config = {
    architectures: ['GPTNeoXForCausalLM'], model_type: 'gpt_neox', hidden_size: D, intermediate_size: 4, num_hidden_layers: 3, num_attention_heads: 1, vocab_size: WORDS,
    max_position_embeddings: 32, hidden_act: 'relu', layer_norm_eps: 1e-9, rotary_pct: 0.25, rotary_emb_base: 10000, use_parallel_residual: false, attention_bias: true, tie_word_embeddings: false,
  };
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
  return folder;
}

/** Feature j reads and writes u_j, j < 7; with `writes`, feature j writes that direction (a transcoder where `to` is another point). */
export function knownDictionary(name: string, hook: HookPoint, to: HookPoint | null = null, writes: (j: number) => number = (j) => j): DictionaryWeights {
  const base = tiedDictionary(name, hook, D, 7, { seed: 1, bias: -0.01 });
  const rows = (of: (j: number) => number): Float32Array => Float32Array.from({ length: 7 * D }, (_, i) => direction(of(Math.floor(i / D)))[i % D]);
  // An activation of 0.99 stands for 1 of the direction.
  return { ...base, config: { ...base.config, outputHookPoint: to, architecture: 'untied' }, encoder: rows((j) => j), decoder: rows(writes).map((v) => v / 0.99) };
}

/** Rows of decoys with now and then an A, later a B, and CLOSE after it; CLOSE also follows decoys, where the model does not expect it. */
export function knownText(rows: number, cols: number, draw: (n: number) => number): Int32Array {
  const ids = Int32Array.from({ length: rows * cols }, () => 4 + draw(WORDS - 4));
  for (let r = 0; r < rows; r++) {
    const a = 1 + draw(3);
    if (r % 4 !== 3) ids[r * cols + a] = A;
    const b = a + 2 + draw(4);
    ids[r * cols + b] = B;
    if (r % 4 === 3) ids[r * cols + b + 2] = CLOSE;
    else ids[r * cols + b + 1] = CLOSE;
  }
  return ids;
}
