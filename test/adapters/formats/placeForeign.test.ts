import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ForeignDictionary } from '../../../src/adapters/formats/foreign.ts';
import { placeForeign, type Placement } from '../../../src/adapters/formats/placeForeign.ts';
import { saelens } from '../../../src/adapters/formats/saelens.ts';
import { decode, encode } from '../../../src/dictionary/encode.ts';
import { FORMATS, expectedOf, relativeError } from './parity.ts';

const INTO: Placement = {
  model: { name: 'pythia-70m', architecture: 'gpt_neox', layers: 6, dModel: 12 },
  centres: true, set: 'test', hook: null, output: null, centred: null, force: false, run: 'run',
};

async function dictionary(name: string): Promise<ForeignDictionary> {
  return (await saelens.read(join(FORMATS, 'saelens', name)))[0]!;
}

test('a dictionary trained on centred activations reads raw ones', async () => {
  const expected = await expectedOf('saelens');
  const { weights, notes } = placeForeign(await dictionary('centred'), INTO);
  assert.equal(weights.config.name, '3-test');
  assert.match(notes.join('; '), /trained on x − mean\(x\)/);
  const x = expected.get('x')!.data;
  const codes = encode(weights, x);
  assert.ok(relativeError(codes, expected.get('centred.codes')!.data) < 1e-5);
  assert.ok(relativeError(decode(weights, codes, x), expected.get('centred.reconstruction')!.data) < 1e-5);
  const shifted = x.map((value, at) => value + Math.floor(at / 12) + 1);
  assert.ok(relativeError(encode(weights, shifted), codes) < 1e-5, 'adding a constant to a vector changes nothing');

  // The model's norms do not centre: neither does TransformerLens.
  const plain = await dictionary('centred');
  assert.deepEqual(placeForeign(plain, { ...INTO, centres: false }).weights.encoder, plain.parameters.encoder);
  assert.deepEqual(placeForeign(plain, { ...INTO, centred: false }).weights.encoder, plain.parameters.encoder, 'the user knows better');
  assert.throws(() => placeForeign(plain, { ...INTO, centres: false, centred: true }), { code: 'BAD_INPUT', message: /RMSNorm/ });
});

test('what the files do not say about centring must be said', async () => {
  const legacy = { ...(await dictionary('legacy_v2')), model: null };
  const into = { ...INTO, hook: 'resid_pre.4', force: true } as const;
  assert.throws(() => placeForeign(legacy, into), { code: 'BAD_INPUT', message: /--centred yes .*--centred no/ });
  assert.deepEqual(placeForeign(legacy, { ...into, centred: false }).weights.encoder, legacy.parameters.encoder);
  assert.notDeepEqual(placeForeign(legacy, { ...into, centred: true }).weights.encoder, legacy.parameters.encoder);
  assert.deepEqual(placeForeign(legacy, { ...into, centres: false }).weights.encoder, legacy.parameters.encoder, 'unknown, and without effect under RMSNorm');
});

test('hook points: of the files, of the user, or an error', async () => {
  const standard = await dictionary('standard');
  assert.equal(placeForeign(standard, INTO).weights.config.hookPoint, 'resid_post.3');
  assert.throws(() => placeForeign(standard, { ...INTO, hook: 'mlp_out.1' }), { code: 'BAD_INPUT', message: /--hook says mlp_out\.1, its files say resid_post\.3/ });
  assert.equal(placeForeign(standard, { ...INTO, hook: 'mlp_out.1', force: true }).weights.config.name, '1-mlp_out-test');
  assert.throws(() => placeForeign(standard, { ...INTO, model: { ...INTO.model, layers: 3 } }), { code: 'BAD_INPUT', message: /layers 0 to 2/ });
  assert.throws(() => placeForeign(standard, { ...INTO, output: 'mlp_out.3' }), { code: 'BAD_INPUT', message: /no transcoder/ });
  const silent = { ...standard, hook: { point: null, output: null, said: 'blocks.3.attn.hook_z' } };
  assert.throws(() => placeForeign(silent, INTO), { code: 'BAD_INPUT', message: /blocks\.3\.attn\.hook_z; give --hook/ });

  const transcoder = { ...(await dictionary('transcoder')), dOut: 12 };
  assert.throws(() => placeForeign(transcoder, INTO), { message: /ln2\.hook_normalized to blocks\.3\.hook_mlp_out \(which is mlp_in\.3 if .*; give --hook/ });
  const { config } = placeForeign(transcoder, { ...INTO, hook: 'mlp_in.3' }).weights;
  assert.deepEqual([config.name, config.hookPoint, config.outputHookPoint], ['3-mlp_in-test', 'mlp_in.3', 'mlp_out.3']);
  const lost = { ...transcoder, hook: { ...transcoder.hook, output: null } };
  assert.throws(() => placeForeign(lost, { ...INTO, hook: 'mlp_in.3' }), { message: /give --output-hook/ });
});

test('another model, another width, an embedding without positions', async () => {
  const standard = await dictionary('standard');
  const gpt2 = { ...INTO, model: { ...INTO.model, name: 'gpt2', architecture: 'gpt2' } };
  assert.throws(() => placeForeign(standard, gpt2), { code: 'BAD_INPUT', message: /of the model pythia-70m, not of gpt2/ });
  assert.match(placeForeign(standard, { ...gpt2, force: true }).notes.join(), /name the model pythia-70m/);
  assert.deepEqual(placeForeign({ ...standard, model: 'openai/GPT2-small' }, gpt2).notes, []);
  assert.match(placeForeign({ ...standard, model: null }, gpt2).notes.join(), /do not say of which model/);
  assert.throws(() => placeForeign(standard, { ...INTO, model: { ...INTO.model, dModel: 512 } }), { code: 'BAD_DICTIONARY', message: /reads 12 numbers, but resid_post\.3 of pythia-70m has 512/ });
  assert.throws(() => placeForeign(standardAtEmbed(standard), { ...gpt2, force: true }), { code: 'BAD_INPUT', message: /without positions/ });
  assert.equal(placeForeign(standardAtEmbed(standard), INTO).weights.config.name, '0-embed-test');
});

function standardAtEmbed(found: ForeignDictionary): ForeignDictionary {
  return { ...found, hook: { point: 'embed', output: null, said: 'hook_embed' } };
}
