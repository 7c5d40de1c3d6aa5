import assert from 'node:assert/strict';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { dictionaryLearning } from '../../../src/adapters/formats/dictionaryLearning.ts';
import type { ForeignDictionary } from '../../../src/adapters/formats/foreign.ts';
import { learnedDicts } from '../../../src/adapters/formats/learnedDicts.ts';
import { openNpz } from '../../../src/adapters/formats/npz.ts';
import { openZip } from '../../../src/adapters/formats/zip.ts';
import { storedZip } from '../../../src/adapters/formats/zipWrite.ts';
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

/** All files of an archive, by name. */
async function filesOf(path: string): Promise<Map<string, Uint8Array>> {
  const zip = await openZip(path);
  try {
    const files = new Map<string, Uint8Array>();
    for (const name of zip.names) files.set(name, await zip.read(name));
    return files;
  } finally {
    await zip.close();
  }
}

for (const { file, read } of READERS.filter(({ file }) => file.endsWith('.pt'))) {
  test(`150 damaged pickles in ${file}, with checksums that fit, each give numbers or an error that says what is wrong`, async () => {
    await withFolder(async (folder) => {
      await cp(dirname(join(FORMATS, file)), folder, { recursive: true });
      const path = join(folder, file.split('/').at(-1)!);
      const files = await filesOf(path);
      const name = [...files.keys()].find((entry) => entry.endsWith('/data.pkl'))!;
      const whole = Buffer.from(files.get(name)!);
      const next = random(5);
      let refused = 0;
      for (let i = 0; i < 150; i++) {
        await writeFile(path, Buffer.concat(storedZip(new Map([...files, [name, damaged(whole, next)]]))));
        try {
          await read(folder); // checkedForeign has seen every number
        } catch (error) {
          if (!(error instanceof CallerError)) throw error;
          refused++;
        }
      }
      assert.ok(refused > 75, `${refused} of 150 refused`);
    });
  });
}
