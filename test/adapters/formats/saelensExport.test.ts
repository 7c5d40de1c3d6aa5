import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ForeignFormat } from '../../../src/adapters/formats/foreign.ts';
import { saelens } from '../../../src/adapters/formats/saelens.ts';
import { writeSaelens } from '../../../src/adapters/formats/saelensExport.ts';
import { sparsify } from '../../../src/adapters/formats/sparsify.ts';
import { writeSparsify } from '../../../src/adapters/formats/sparsifyExport.ts';
import { tiedDictionary } from '../../helpers/tiedDictionary.ts';
import { withFolder } from '../../helpers/withFolder.ts';
import { EXPORT_CASES } from './exportCases.ts';
import { FORMATS, assertParity, expectedOf, weightsOf } from './parity.ts';

const READERS: Readonly<Record<string, ForeignFormat>> = { saelens, sparsify };
const NEOX = { architecture: 'gpt_neox', name: 'pythia-70m' };

test('exports are the files that the libraries were seen to load, byte for byte, and read back alike', async () => {
  for (const { name, from, folder, hooks, format, path, expected } of EXPORT_CASES) {
    const [found] = await READERS[from]!.read(join(FORMATS, folder), name.endsWith('norm_factor') ? { normFactor: 1.7 } : {});
    const weights = weightsOf({ ...found!, hook: { ...found!.hook, ...hooks } });
    await withFolder(async (out) => {
      await (format === 'saelens' ? writeSaelens : writeSparsify)(out, weights, NEOX);
      const files = (await readdir(out, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name).slice(out.length + 1));
      assert.ok(files.length >= 2);
      // Written by foreign_safetensors.py's run, which loaded them with the library and compared.
      for (const file of files) assert.deepEqual(await readFile(join(out, file)), await readFile(join(FORMATS, 'exported', name, file)), `${name}/${file}`);
      const [again] = await READERS[format]!.read(join(out, path));
      assertParity(weightsOf(again!), await expectedOf(from), expected);
      if (hooks === undefined) assert.deepEqual([again!.hook.point, again!.hook.output, again!.model], [found!.hook.point, found!.hook.output, 'pythia-70m']);
    });
  }
});

test('what a library has no class for is refused, and nothing is written', async () => {
  const tied = tiedDictionary('2-tied', 'resid_post.2', 6, 10, { seed: 1, bias: -0.1 });
  const { config } = tied;
  const threshold = new Float32Array(10).fill(0.1);
  const topk = { ...tied, config: { ...config, k: 3 } };
  await withFolder(async (home) => {
    const out = join(home, 'out');
    const rejects = async (write: Promise<unknown>, message: RegExp): Promise<void> => assert.rejects(write, { code: 'UNSUPPORTED', message });
    await rejects(writeSaelens(out, { ...topk, threshold }, NEOX), /k together with thresholds/);
    await rejects(writeSaelens(out, { ...topk, skip: new Float32Array(36) }, NEOX), /k together with a linear path/);
    await rejects(writeSaelens(out, { ...tied, config: { ...config, hookPoint: 'mlp_in.2' } }, { ...NEOX, architecture: 'llama' }), /before the gain of an RMSNorm/);
    await rejects(writeSparsify(out, tied, NEOX), /not top-k/);
    await rejects(writeSparsify(out, { ...topk, threshold }, NEOX), /with thresholds/);
    await rejects(writeSparsify(out, { ...topk, config: { ...topk.config, outputHookPoint: 'mlp_out.2' } }, NEOX), /goes from resid_post\.2 to mlp_out\.2/);
    await rejects(writeSparsify(out, { ...topk, config: { ...topk.config, hookPoint: 'embed' } }, { ...NEOX, architecture: 'gpt2' }), /positions/);
    assert.deepEqual(await readdir(home), []);
  });
});

test('a sparsify transcoder over a whole layer takes the layer\'s module', async () => {
  const tied = tiedDictionary('2-tied', 'resid_pre.2', 6, 10, { seed: 1, bias: -0.1 });
  await withFolder(async (out) => {
    const weights = { ...tied, config: { ...tied.config, k: 3, outputHookPoint: 'resid_post.2' as const } };
    assert.equal(await writeSparsify(out, weights, NEOX), 'layers.2');
    const [again] = await sparsify.read(out);
    assert.deepEqual(again!.hook, { point: 'resid_pre.2', output: 'resid_post.2', said: 'what goes into and comes out of layers.2' });
  });
});
