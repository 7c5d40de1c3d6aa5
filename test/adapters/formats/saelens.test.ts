import assert from 'node:assert/strict';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { readTensorFile, writeTensorFile, type Tensor } from '../../../src/adapters/files/tensorFile.ts';
import { saelens } from '../../../src/adapters/formats/saelens.ts';
import { rowsOnCentred } from '../../../src/adapters/formats/linearFolds.ts';
import { withFolder } from '../../helpers/withFolder.ts';
import { FORMATS, assertParity, expectedOf, weightsOf } from './parity.ts';

const FOLDER = join(FORMATS, 'saelens');

const CASES: readonly (readonly [string, { architecture: string; k?: number; notes?: RegExp; threshold?: true; skip?: true }])[] = [
  ['standard', { architecture: 'untied' }],
  ['uncentred', { architecture: 'untied' }],
  ['half', { architecture: 'untied' }],
  ['brain', { architecture: 'untied' }],
  ['double', { architecture: 'untied', notes: /float64 .* rounded/ }],
  ['topk', { architecture: 'topk', k: 4 }],
  ['topk_rescaled', { architecture: 'topk', k: 4 }],
  ['jumprelu', { architecture: 'jumprelu', threshold: true }],
  ['gated', { architecture: 'gated', threshold: true }],
  ['transcoder', { architecture: 'untied' }],
  ['skip_transcoder', { architecture: 'untied', skip: true }],
  ['jumprelu_transcoder', { architecture: 'jumprelu', threshold: true }],
  ['jumprelu_skip_transcoder', { architecture: 'jumprelu', threshold: true, skip: true }],
  ['legacy_v2', { architecture: 'untied', notes: /before 6\.0/ }],
  ['legacy_topk', { architecture: 'topk', k: 5, notes: /before 6\.0/ }],
];

test('every architecture gives the codes and reconstructions of the library', async () => {
  const expected = await expectedOf('saelens');
  for (const [name, { architecture, k, notes, threshold, skip }] of CASES) {
    const [found, ...more] = await saelens.read(join(FOLDER, name));
    assert.equal(more.length, 0);
    assert.equal(found!.architecture, architecture, name);
    assert.equal(found!.k, k ?? null, name);
    assert.equal(found!.parameters.threshold !== null, threshold === true, name);
    assert.equal(found!.parameters.skip !== null, skip === true, name);
    assert.match(found!.notes.join('; '), notes ?? /^$/, name);
    assertParity(weightsOf(found!), expected, name);
  }
});

test('hook points, model and centring are read from the config', async () => {
  const of = async (name: string): Promise<unknown> => {
    const [{ hook, model, centred }] = (await saelens.read(join(FOLDER, name))) as [Awaited<ReturnType<typeof saelens.read>>[0]];
    return { point: hook.point, output: hook.output, model, centred };
  };
  assert.deepEqual(await of('standard'), { point: 'resid_post.3', output: null, model: 'pythia-70m', centred: false });
  assert.deepEqual(await of('centred'), { point: 'resid_post.3', output: null, model: 'pythia-70m', centred: true });
  assert.deepEqual(await of('transcoder'), { point: null, output: 'mlp_out.3', model: 'pythia-70m', centred: false });
  assert.deepEqual(await of('legacy_v2'), { point: 'resid_pre.8', output: null, model: 'gpt2-small', centred: null });
  assert.deepEqual(await of('legacy_topk'), { point: 'mlp_out.2', output: null, model: 'pythia-70m', centred: false });
});

test('a factor that is not in the weights must be given, or lie beside them', async () => {
  const expected = await expectedOf('saelens');
  const folder = join(FOLDER, 'norm_factor');
  await assert.rejects(saelens.read(folder), { code: 'BAD_DICTIONARY', message: /expected_average_only_in.*--norm-factor/ });
  assertParity(weightsOf((await saelens.read(folder, { normFactor: 1.7 }))[0]!), expected, 'norm_factor');
  await assert.rejects(saelens.read(join(FOLDER, 'standard'), { normFactor: 1.7 }), { code: 'BAD_DICTIONARY', message: /nothing for --norm-factor/ });
  await withFolder(async (copy) => {
    await cp(folder, copy, { recursive: true });
    await writeFile(join(copy, 'activation_scaler.json'), JSON.stringify({ scaling_factor: 1.7, has_whitening: false }));
    assertParity(weightsOf((await saelens.read(copy))[0]!), expected, 'norm_factor');
    await assert.rejects(saelens.read(copy, { normFactor: 2 }), { message: /scaling_factor is 1\.7, --norm-factor says 2/ });
    await change(copy, { normalize_activations: 'none' });
    await assert.rejects(saelens.read(copy), { message: /was not folded: one of the two is wrong/ });
  });
});

test('centring folds into the encoder exactly', async () => {
  const [found] = await saelens.read(join(FOLDER, 'centred'));
  const weights = weightsOf(found!);
  assertParity({ ...weights, encoder: rowsOnCentred(weights.encoder, weights.config.dIn) }, await expectedOf('saelens'), 'centred');
});

test('a scaling factor of a finetuning is folded, or refused where it is not declared', async () => {
  await withFolder(async (copy) => {
    await cp(join(FOLDER, 'legacy_v2'), copy, { recursive: true });
    const tensors = new Map((await readTensorFile(join(copy, 'sae_weights.safetensors')))!.tensors);
    const factors = Float32Array.from({ length: 20 }, (_, j) => 1 + j / 10);
    tensors.set('scaling_factor', { shape: [20], data: factors });
    await writeTensorFile(join(copy, 'sae_weights.safetensors'), tensors);
    await assert.rejects(saelens.read(copy), { code: 'BAD_DICTIONARY', message: /scaling_factor is not all ones/ });
    await change(copy, { finetuning_scaling_factor: true });
    const [found] = await saelens.read(copy);
    const [plain] = await saelens.read(join(FOLDER, 'legacy_v2'));
    assert.deepEqual(found!.parameters.decoder, plain!.parameters.decoder.map((value, at) => value * factors[Math.floor(at / 12)]!));
  });
});

test('what our form cannot hold is refused by name', async () => {
  const cases: readonly (readonly [string, Record<string, unknown>, string, RegExp])[] = [
    ['standard', { architecture: 'temporal' }, 'UNSUPPORTED', /architecture "temporal"; expected one of standard/],
    ['standard', { architecture: 'batchtopk' }, 'UNSUPPORTED', /batchtopk.*save_inference_model/],
    ['standard', { normalize_activations: 'layer_norm' }, 'UNSUPPORTED', /layer_norm.*own norm/],
    ['standard', { normalize_activations: 'constant_norm_rescale' }, 'UNSUPPORTED', /constant_norm_rescale/],
    ['standard', { normalize_activations: 'sometimes' }, 'BAD_DICTIONARY', /normalize_activations must be/],
    ['standard', { reshape_activations: 'hook_z' }, 'UNSUPPORTED', /hook_z.*heads/],
    ['standard', { metadata: { sae_lens_version: '6.1.0', hook_head_index: 3 } }, 'UNSUPPORTED', /hook_head_index 3/],
    ['standard', { dtype: 'int8' }, 'BAD_DICTIONARY', /dtype must be/],
    ['standard', { noise_at_inference: 0.1, whitening: true }, 'BAD_DICTIONARY', /unknown keys noise_at_inference, whitening/],
    ['standard', { d_sae: 21 }, 'BAD_DICTIONARY', /W_enc has shape \[12, 20\], expected \[12, 21\]/],
    ['standard', { d_in: '12' }, 'BAD_DICTIONARY', /d_in must be a whole number/],
    ['standard', { architecture: 'jumprelu' }, 'BAD_DICTIONARY', /missing threshold/],
    ['jumprelu', { architecture: 'standard' }, 'BAD_DICTIONARY', /tensors threshold are none of a standard/],
    ['standard', { rescale_acts_by_decoder_norm: true }, 'BAD_DICTIONARY', /for topk alone/],
    ['transcoder', { apply_b_dec_to_input: true }, 'BAD_DICTIONARY', /SAELens itself refuses/],
    ['topk', { k: null }, 'BAD_DICTIONARY', /k must be a whole number/],
    ['topk', { k: 21 }, 'BAD_DICTIONARY', /k is 21/],
    ['legacy_topk', { activation_fn_str: 'tanh-relu' }, 'UNSUPPORTED', /tanh-relu/],
    ['legacy_v2', JSON.parse('{"__proto__": {"k": 3}}') as Record<string, unknown>, 'BAD_DICTIONARY', /unknown keys __proto__/],
    ['legacy_v2', { is_transcoder: true }, 'BAD_DICTIONARY', /unknown keys is_transcoder/],
  ];
  for (const [name, changes, code, message] of cases) {
    await withFolder(async (copy) => {
      await cp(join(FOLDER, name), copy, { recursive: true });
      await change(copy, changes);
      await assert.rejects(saelens.read(copy), { code, message }, JSON.stringify(changes));
    });
  }
});

test('damaged weights are named as such', async () => {
  const expectBad = async (damage: (tensors: Map<string, Tensor>, path: string) => Promise<void>, message: RegExp): Promise<void> => {
    await withFolder(async (copy) => {
      await cp(join(FOLDER, 'standard'), copy, { recursive: true });
      const path = join(copy, 'sae_weights.safetensors');
      await damage(new Map((await readTensorFile(path))!.tensors), path);
      await assert.rejects(saelens.read(copy), { code: 'BAD_DICTIONARY', message });
    });
  };
  await expectBad(async (_, path) => writeFile(path, (await readFile(path)).subarray(0, 900)), /truncated/);
  await expectBad(async (tensors, path) => {
    tensors.get('W_dec')!.data[17] = Number.NaN;
    await writeTensorFile(path, tensors);
  }, /W_dec .* holds NaN at element 17/);
  await expectBad(async (tensors, path) => {
    tensors.delete('b_enc');
    await writeTensorFile(path, tensors);
  }, /missing b_enc, found W_dec/);
  await expectBad(async (_, path) => writeFile(join(path, '..', 'cfg.json'), '{"d_in": 12,'), /no JSON/);
});

/** Overwrites fields of cfg.json. */
async function change(folder: string, changes: Readonly<Record<string, unknown>>): Promise<void> {
  const path = join(folder, 'cfg.json');
  await writeFile(path, JSON.stringify({ ...(JSON.parse(await readFile(path, 'utf8')) as object), ...changes }));
}
