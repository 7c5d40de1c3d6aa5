import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { recogniseForeign } from '../../../src/adapters/formats/openForeign.ts';
import { withFolder } from '../../helpers/withFolder.ts';
import { FORMATS } from './parity.ts';

test('folders are recognised by their files, which are hashed', async () => {
  const cases = [
    ['saelens/standard', 'saelens', ['cfg.json', 'sae_weights.safetensors']],
    ['sparsify/run', 'sparsify', ['config.json', 'layers.1.mlp/cfg.json', 'layers.1.mlp/sae.safetensors', 'layers.10/cfg.json', 'layers.10/sae.safetensors', 'layers.2/cfg.json', 'layers.2/sae.safetensors']],
    ['sparsify/run/layers.2', 'sparsify', ['cfg.json', 'sae.safetensors']],
    ['gemma_scope/gemma-scope-2b-pt-res/layer_3/width_16k/average_l0_82', 'gemma-scope', ['params.npz']],
  ] as const;
  for (const [path, format, files] of cases) {
    const found = await recogniseForeign(join(FORMATS, path), null);
    assert.equal(found.format, format);
    const hashes = await found.hashes();
    assert.deepEqual(Object.keys(hashes), files);
    const last = files.at(-1)!;
    assert.equal(hashes[last], createHash('sha256').update(await readFile(join(FORMATS, path, last))).digest('hex'));
    assert.ok((await found.read()).length >= 1);
  }
});

test('no folder, no dictionary in it, several formats: errors that say what to do', async () => {
  await assert.rejects(recogniseForeign('/nowhere/at/all', null), { code: 'NOT_FOUND' });
  await assert.rejects(recogniseForeign(join(FORMATS, 'saelens'), null), { code: 'UNSUPPORTED', message: /found expected\.safetensors; below it lie brain, centred, .* and \d+ more: name one/ });
  await assert.rejects(recogniseForeign(join(FORMATS, 'saelens', 'standard'), 'keras'), { code: 'UNSUPPORTED', message: /expected one of saelens, sparsify/ });
  await withFolder(async (folder) => {
    await assert.rejects(recogniseForeign(folder, null), { code: 'UNSUPPORTED', message: /found no files/ });
    await cp(join(FORMATS, 'saelens', 'standard'), folder, { recursive: true });
    await mkdir(join(folder, 'below'));
    await writeFile(join(folder, 'sae.safetensors'), '');
    await assert.rejects(recogniseForeign(folder, null), { code: 'UNSUPPORTED', message: /could be of the formats saelens, sparsify: choose one with --format/ });
    assert.equal((await (await recogniseForeign(folder, 'saelens')).read()).length, 1);
  });
  const sparsify = await recogniseForeign(join(FORMATS, 'sparsify', 'run'), null);
  await assert.rejects(sparsify.read({ normFactor: 2 }), { code: 'BAD_INPUT', message: /--norm-factor is for SAELens/ });
});
