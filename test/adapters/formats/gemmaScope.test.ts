import assert from 'node:assert/strict';
import { cp, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { readTensorFile, writeTensorFile } from '../../../src/adapters/files/tensorFile.ts';
import { gemmaScope } from '../../../src/adapters/formats/gemmaScope.ts';
import { withFolder } from '../../helpers/withFolder.ts';
import { FORMATS, assertParity, expectedOf, weightsOf } from './parity.ts';

const FOLDER = join(FORMATS, 'gemma_scope');
const V1 = 'gemma-scope-2b-pt-res/layer_3/width_16k/average_l0_82';
const V2 = 'gemma-scope-2-270m-pt/transcoder/layer_5_width_16k_l0_small_affine';

test('both releases give what the equation says, placed by their folders', async () => {
  const expected = await expectedOf('gemma_scope');
  const cases = [
    ['res', V1, { point: 'resid_post.3', output: null, model: 'gemma-2-2b' }],
    ['embedding', 'gemma-scope-2b-pt-res/embedding/width_4k/average_l0_6', { point: 'embed', output: null, model: 'gemma-2-2b' }],
    ['resid_post', 'gemma-scope-2-270m-pt/resid_post/layer_5_width_16k_l0_small', { point: 'resid_post.5', output: null, model: 'gemma-3-270m-pt' }],
    ['transcoder', V2, { point: 'mlp_in.5', output: 'mlp_out.5', model: 'gemma-v3-270m-pt' }],
  ] as const;
  for (const [name, path, place] of cases) {
    const folder = join(FOLDER, path);
    assert.ok(await gemmaScope.recognises(await readdir(folder), folder));
    const [found] = await gemmaScope.read(folder);
    assert.deepEqual({ point: found!.hook.point, output: found!.hook.output, model: found!.model }, place);
    assert.equal(found!.architecture, 'jumprelu');
    assert.match(found!.notes[0]!, name === 'res' ? /^released as width 16k, L0 82$/ : name === 'embedding' ? /width 4k, L0 6$/ : /width 16k, L0 small$/);
    assertParity(weightsOf(found!), expected, name);
  }
});

test('the kind of a release comes from its path, and is not guessed where it says nothing', async () => {
  await withFolder(async (home) => {
    const read = async (path: string): Promise<unknown> => {
      await cp(join(FOLDER, V1), join(home, path), { recursive: true });
      const [{ hook }] = (await gemmaScope.read(join(home, path))) as [Awaited<ReturnType<typeof gemmaScope.read>>[0]];
      return [hook.point, hook.output];
    };
    assert.deepEqual(await read('google--gemma-scope-2b-pt-mlp/main/layer_7/width_16k/average_l0_9'), ['mlp_out.7', null]);
    assert.deepEqual(await read('google--gemma-scope-9b-pt-res/main/layer_11/width_16k/average_l0_9'), ['resid_post.11', null]);
    assert.deepEqual(await read('gemma-scope-2b-pt-att/layer_7/width_16k/average_l0_9'), [null, null]);
    assert.deepEqual(await read('gemma-scope-2b-pt-transcoders/layer_7/width_16k/average_l0_9'), [null, 'mlp_out.7']);
    assert.deepEqual(await read('elsewhere/layer_7/width_16k/average_l0_9'), [null, null]);
    assert.deepEqual(await read('gemma-scope-2b-pt-res/elsewhere'), [null, null]);
  });
});

test('unknown keys, a contradiction, a crosscoder and damage are refused', async () => {
  await withFolder(async (home) => {
    const copy = join(home, V2);
    await cp(join(FOLDER, V2), copy, { recursive: true });
    const config = JSON.parse(await readFile(join(copy, 'config.json'), 'utf8')) as object;
    const withConfig = async (changes: object): Promise<unknown> => {
      await writeFile(join(copy, 'config.json'), JSON.stringify({ ...config, ...changes }));
      return gemmaScope.read(copy);
    };
    await assert.rejects(withConfig({ architecture: 'topk' }), { code: 'UNSUPPORTED', message: /architecture topk/ });
    await assert.rejects(withConfig({ centring: true }), { code: 'BAD_DICTIONARY', message: /unknown keys centring/ });
    await assert.rejects(withConfig({ affine_connection: false }), { code: 'BAD_DICTIONARY', message: /affine_connection is false/ });
    await withConfig({});
    const path = join(copy, 'params.safetensors');
    const whole = new Map((await readTensorFile(path))!.tensors);
    await writeTensorFile(path, new Map([...whole, ['w_dec', { shape: [20, 2, 4], data: whole.get('w_dec')!.data }]]));
    await assert.rejects(gemmaScope.read(copy), { code: 'UNSUPPORTED', message: /cross-layer/ });
    whole.delete('threshold');
    await writeTensorFile(path, whole);
    await assert.rejects(gemmaScope.read(copy), { code: 'BAD_DICTIONARY', message: /has no tensor threshold/ });
    const npz = join(home, V1);
    await cp(join(FOLDER, V1), npz, { recursive: true });
    await writeFile(join(npz, 'params.npz'), (await readFile(join(npz, 'params.npz'))).subarray(0, 2000));
    await assert.rejects(gemmaScope.read(npz), { code: 'BAD_DICTIONARY' });
  });
});
