import assert from 'node:assert/strict';
import { cp, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { readTensorFile, writeTensorFile } from '../../../src/adapters/files/tensorFile.ts';
import { sparsify } from '../../../src/adapters/formats/sparsify.ts';
import { withFolder } from '../../helpers/withFolder.ts';
import { FORMATS, assertParity, expectedOf, weightsOf } from './parity.ts';

const RUN = join(FORMATS, 'sparsify', 'run');

test('a folder of hook points gives one dictionary each, as the library computes them', async () => {
  assert.ok(await sparsify.recognises(await readdir(RUN), RUN));
  const found = await sparsify.read(RUN);
  assert.deepEqual(
    found.map(({ label, hook, model, nFeatures, k }) => ({ label, point: hook.point, output: hook.output, model, nFeatures, k })),
    [
      { label: 'layers.1.mlp', point: 'mlp_in.1', output: 'mlp_out.1', model: 'EleutherAI/pythia-70m', nFeatures: 20, k: 5 },
      { label: 'layers.2', point: 'resid_post.2', output: null, model: 'EleutherAI/pythia-70m', nFeatures: 20, k: 4 },
      // num_latents 0: d_in · expansion_factor.
      { label: 'layers.10', point: 'resid_post.10', output: null, model: 'EleutherAI/pythia-70m', nFeatures: 24, k: 3 },
    ],
  );
  const expected = await expectedOf('sparsify');
  for (const one of found) assertParity(weightsOf(one), expected, one.label);
  const [alone] = await sparsify.read(join(RUN, 'layers.2'));
  assert.deepEqual(alone, found[1]);
});

test('what is not top-k, not known or damaged is refused', async () => {
  const cases: readonly (readonly [Record<string, unknown>, string, RegExp])[] = [
    [{ activation: 'groupmax' }, 'UNSUPPORTED', /activation groupmax: the largest of each of k groups/],
    [{ signed: true }, 'UNSUPPORTED', /signed/],
    [{ temperature: 2 }, 'BAD_DICTIONARY', /unknown keys temperature/],
    [{ num_latents: 0 }, 'BAD_DICTIONARY', /encoder\.weight has shape \[20, 12\], expected \[384, 12\]/],
    [{ skip_connection: true }, 'BAD_DICTIONARY', /W_skip is missing/],
    [{ k: 0 }, 'BAD_DICTIONARY', /k must be a whole number of at least 1/],
  ];
  for (const [changes, code, message] of cases) {
    await withFolder(async (copy) => {
      await cp(join(RUN, 'layers.2'), copy, { recursive: true });
      const cfg = JSON.parse(await readFile(join(copy, 'cfg.json'), 'utf8')) as object;
      await writeFile(join(copy, 'cfg.json'), JSON.stringify({ ...cfg, ...changes }));
      await assert.rejects(sparsify.read(copy), { code, message }, JSON.stringify(changes));
    });
  }
  await withFolder(async (copy) => {
    await cp(join(RUN, 'layers.2'), copy, { recursive: true });
    const path = join(copy, 'sae.safetensors');
    const tensors = new Map((await readTensorFile(path))!.tensors);
    await writeTensorFile(path, new Map([...tensors, ['W_skip', { shape: [12, 12], data: new Float32Array(144) }]]));
    await assert.rejects(sparsify.read(copy), { code: 'BAD_DICTIONARY', message: /tensors W_skip are not of the dictionary/ });
    tensors.get('encoder.bias')!.data[3] = Infinity;
    await writeTensorFile(path, tensors);
    await assert.rejects(sparsify.read(copy), { code: 'BAD_DICTIONARY', message: /encoder\.bias .* holds Infinity/ });
  });
});
