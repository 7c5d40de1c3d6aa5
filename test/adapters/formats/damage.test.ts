import assert from 'node:assert/strict';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { dictionaryLearning } from '../../../src/adapters/formats/dictionaryLearning.ts';
import type { ForeignDictionary } from '../../../src/adapters/formats/foreign.ts';
import { learnedDicts } from '../../../src/adapters/formats/learnedDicts.ts';
import { openNpz } from '../../../src/adapters/formats/npz.ts';
import { unpickle, type Allowed } from '../../../src/adapters/formats/pickle.ts';
import { openZip } from '../../../src/adapters/formats/zip.ts';
import { CallerError } from '../../../src/domain/errors.ts';
import { withFolder } from '../../helpers/withFolder.ts';
import { FORMATS } from './parity.ts';

/** Numerical Recipes' LCG: the same damage every time. */
function random(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** The file cut somewhere, or with one to eight bits turned, or with a stretch overwritten. */
function damaged(bytes: Buffer, next: (below: number) => number): Buffer {
  const kind = next(3);
  if (kind === 0) return bytes.subarray(0, next(bytes.length));
  const copy = Buffer.from(bytes);
  if (kind === 1) for (let i = 1 + next(8); i > 0; i--) copy[next(copy.length)]! ^= 1 << next(8);
  else copy.fill(next(256), next(copy.length), next(copy.length));
  return copy;
}

const READERS: readonly { readonly file: string; readonly read: (folder: string) => Promise<unknown> }[] = [
  { file: 'dictionary_learning/topk/ae.pt', read: async (folder) => plain(await dictionaryLearning.read(folder)) },
  { file: 'dictionary_learning/matryoshka/ae.pt', read: async (folder) => plain(await dictionaryLearning.read(folder)) },
  { file: 'learned_dicts/learned_dicts.pt', read: async (folder) => plain(await learnedDicts.read(folder)) },
  {
    file: 'npz/packed.npz',
    read: async (folder) => {
      const npz = await openNpz(join(folder, 'packed.npz'));
      try {
        const found: Record<string, number[]> = {};
        for (const name of npz.names) found[name] = [...(await npz.array(name)).data];
        return found;
      } finally {
        await npz.close();
      }
    },
  },
];

function plain(found: readonly ForeignDictionary[]): unknown {
  return found.map(({ architecture, k, parameters }) => [architecture, k, ...Object.values(parameters).map((data) => (data === null ? null : [...data]))]);
}

for (const { file, read } of READERS) {
  test(`200 damaged copies of ${file} each give the right numbers or an error that says what is wrong`, async () => {
    await withFolder(async (folder) => {
      await cp(dirname(join(FORMATS, file)), folder, { recursive: true });
      const path = join(folder, file.split('/').at(-1)!);
      const whole = await readFile(path);
      const right = await read(folder);
      const next = random(17);
      let refused = 0;
      for (let i = 0; i < 200; i++) {
        await writeFile(path, damaged(whole, next));
        try {
          assert.deepEqual(await read(folder), right, `copy ${i}`);
        } catch (error) {
          if (!(error instanceof CallerError)) throw error;
          assert.equal(error.code, 'BAD_DICTIONARY', `copy ${i}`);
          refused++;
        }
      }
      assert.ok(refused > 100, `${refused} of 200 refused`);
    });
  });
}

test('2000 damaged pickles, which no checksum protects here, each give a value or an error', async () => {
  const zip = await openZip(join(FORMATS, 'learned_dicts', 'learned_dicts.pt'));
  const whole = await zip.read(zip.names.find((name) => name.endsWith('data.pkl'))!);
  await zip.close();
  const allowed = new Map<string, Allowed>([
    ['autoencoders.learned_dict.TiedSAE', 'class'], ['autoencoders.learned_dict.UntiedSAE', 'class'], ['autoencoders.learned_dict.RandomDict', 'class'], ['autoencoders.topk_encoder.TopKLearnedDict', 'class'],
    ['collections.OrderedDict', 'dict'], ['torch._utils._rebuild_tensor_v2', 'call'], ['torch.FloatStorage', 'name'], ['numpy.dtype', 'call'], ['numpy._core.multiarray.scalar', 'call'], ['_codecs.encode', 'call'],
  ]);
  unpickle(whole, allowed, 'f.pt');
  const next = random(5);
  let refused = 0;
  for (let i = 0; i < 2000; i++) {
    try {
      unpickle(damaged(whole, next), allowed, 'f.pt');
    } catch (error) {
      if (!(error instanceof CallerError)) throw error;
      refused++;
    }
  }
  assert.ok(refused > 1000, `${refused} of 2000 refused`);
});
