import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromModulePath, fromTransformerLens, toModulePath, toTransformerLens } from '../../../src/adapters/formats/hookNames.ts';

test('TransformerLens names there and back', () => {
  for (const [theirs, ours] of [['blocks.0.hook_resid_pre', 'resid_pre.0'], ['blocks.11.hook_resid_post', 'resid_post.11'], ['blocks.2.hook_attn_out', 'attn_out.2'], ['blocks.2.hook_mlp_out', 'mlp_out.2']] as const) {
    assert.equal(fromTransformerLens(theirs), ours);
    assert.equal(toTransformerLens(ours, 'gpt_neox'), theirs);
  }
  assert.equal(fromTransformerLens('hook_embed'), 'embed');
  assert.equal(toTransformerLens('embed', 'gpt2'), 'blocks.0.hook_resid_pre', 'the stream with positions, which hook_embed lacks');
  for (const none of ['blocks.3.attn.hook_z', 'blocks.3.hook_resid_mid', 'blocks.3.ln2.hook_normalized', 'blocks.x.hook_resid_pre', 'model.layers.3', '']) assert.equal(fromTransformerLens(none), null, none);
  assert.equal(toTransformerLens('mlp_in.3', 'gpt2'), 'blocks.3.ln2.hook_normalized');
  assert.throws(() => toTransformerLens('mlp_in.3', 'llama'), { code: 'UNSUPPORTED', message: /before the gain of an RMSNorm/ });
});

test('Hugging Face module paths there and back', () => {
  for (const [path, architecture, ours] of [
    ['layers.10', 'gpt_neox', 'resid_post.10'], ['layers.5.mlp', 'llama', 'mlp_out.5'], ['layers.5.self_attn', 'llama', 'attn_out.5'], ['layers.5.attention', 'gpt_neox', 'attn_out.5'],
    ['h.3', 'gpt2', 'resid_post.3'], ['h.3.attn', 'gpt2', 'attn_out.3'], ['embed_tokens', 'llama', 'embed'], ['embed_in', 'gpt_neox', 'embed'],
  ] as const) {
    assert.equal(fromModulePath(path, 'output'), ours);
    assert.equal(toModulePath(ours, architecture), path);
  }
  assert.equal(fromModulePath('model.layers.3', 'output'), 'resid_post.3');
  assert.equal(fromModulePath('gpt_neox.layers.3.mlp', 'input'), 'mlp_in.3');
  assert.equal(fromModulePath('transformer.h.3', 'input'), 'resid_pre.3');
  assert.equal(fromModulePath('layers.3.self_attn', 'input'), null);
  assert.equal(fromModulePath('lm_head', 'output'), null);
  assert.equal(toModulePath('resid_pre.4', 'llama'), 'layers.3');
  assert.throws(() => toModulePath('embed', 'gpt2'), { code: 'UNSUPPORTED', message: /positions/ });
});
