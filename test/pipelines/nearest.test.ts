import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileArtefacts } from '../../src/adapters/files/artefacts.ts';
import { openNearestRows } from '../../src/adapters/ort/nearestRows.ts';
import type { DictionaryWeights } from '../../src/domain/dictionary.ts';
import { CallerError } from '../../src/domain/errors.ts';
import { nearest, readNearest, type NearestPair } from '../../src/pipelines/nearest.ts';
import { NEAREST_WIDTH, nearestDictionaries, nearestSources } from '../helpers/nearestSources.ts';
import { quietProgress } from '../helpers/quietProgress.ts';
import { randomDictionary } from '../helpers/randomDictionary.ts';
import { withFolder } from '../helpers/withFolder.ts';

const rows = openNearestRows(2);
after(() => rows.close());
const artefacts = fileArtefacts();
const SIZES = [60, 90, 40, 70];

const run = (dir: string, dictionaries: readonly DictionaryWeights[], more: { k?: number; within?: number | null; onRead?: (name: string) => void } = {}) => {
  const progress = quietProgress();
  return nearest({ dictionaries: nearestSources(dictionaries, more.onRead), k: more.k ?? 5, within: more.within ?? null, rows, artefacts, progress, dir }).then((pairs) => ({ pairs, said: progress.lines }));
};

/** Cosine of feature i of a and j of b, by its definition. */
function cosine(a: DictionaryWeights, i: number, b: DictionaryWeights, j: number): number {
  let [xy, xx, yy] = [0, 0, 0];
  for (let q = 0; q < a.config.dOut; q++) {
    const [x, y] = [a.decoder[i * a.config.dOut + q], b.decoder[j * b.config.dOut + q]];
    [xy, xx, yy] = [xy + x * y, xx + x * x, yy + y * y];
  }
  return xy / Math.sqrt(xx * yy);
}

test('every ordered pair of dictionaries has its k nearest, as sorting all cosines gives them', async () => {
  await withFolder(async (dir) => {
    const dictionaries = nearestDictionaries(SIZES);
    const byName = new Map(dictionaries.map((one) => [one.config.name, one]));
    const { pairs } = await run(dir, dictionaries);
    const names = [...byName.keys()].sort();
    assert.deepEqual(pairs.map(({ from, to }) => [from, to]), names.flatMap((from) => names.filter((to) => to !== from).map((to) => [from, to])));
    for (const pair of pairs) {
      const [a, b] = [byName.get(pair.from)!, byName.get(pair.to)!];
      const { k, indices, cosines } = await readNearest(artefacts, dir, pair);
      assert.deepEqual([k, indices.length], [5, 5 * a.config.nFeatures]);
      for (let i = 0; i < a.config.nFeatures; i++) {
        const sorted = Array.from({ length: b.config.nFeatures }, (_, j) => ({ j, c: cosine(a, i, b, j) })).sort((x, y) => y.c - x.c || x.j - y.j).slice(0, 5);
        assert.deepEqual([...indices.subarray(5 * i, 5 * i + 5)], sorted.map(({ j }) => j));
        sorted.forEach(({ c }, rank) => assert.ok(Math.abs(cosines[5 * i + rank] - c) < 1e-6));
      }
    }
  });
});

const files = async (dir: string): Promise<Map<string, Buffer>> =>
  new Map(await Promise.all((await readdir(dir, { recursive: true })).filter((name) => name.endsWith('.safetensors')).sort().map(async (name) => [name, await readFile(join(dir, name))] as const)));

test('killed again and again, it goes on with the pairs that lack a file, and ends with the same bytes', async () => {
  await withFolder(async (folder) => {
    const [whole, killed] = [join(folder, 'whole'), join(folder, 'killed')];
    const dictionaries = nearestDictionaries(SIZES);
    const { pairs } = await run(whole, dictionaries);
    const counts: number[] = [];
    for (const file of [4, 6]) {
      const child = spawn(process.execPath, [join(import.meta.dirname, 'nearestChild.ts'), killed, String(file)], { stdio: ['ignore', 'ignore', 'inherit'] });
      const [, signal] = (await once(child, 'exit')) as [number | null, string | null];
      assert.equal(signal, 'SIGKILL');
      counts.push((await files(killed)).size);
    }
    // Three files: one pair, and one way of the next, which is written again.
    assert.deepEqual(counts, [3, 7]);
    const done = [...(await files(killed)).keys()];
    const inode = async (name: string): Promise<number> => (await stat(join(killed, name))).ino;
    // A pair is done when both ways are: those files are not written again.
    const complete = done.filter((name) => done.includes(name.replace(/^(.*)\/(.*)\.safetensors$/, '$2/$1.safetensors')));
    const before = await Promise.all(complete.map(inode));
    assert.deepEqual(await run(killed, dictionaries).then((result) => result.pairs), pairs);
    assert.deepEqual(await Promise.all(complete.map(inode)), before);
    assert.deepEqual(await files(killed), await files(whole));
    const read: string[] = [];
    await run(killed, dictionaries, { onRead: (name) => read.push(name) });
    assert.deepEqual(read, [], 'a call when all is there reads no weights');
  });
});

test('only dictionaries near enough, by where they write, and of one width', async () => {
  await withFolder(async (folder) => {
    const dictionaries = [...nearestDictionaries(SIZES), randomDictionary('3-wide', 'resid_post.3', NEAREST_WIDTH + 1, 8, { seed: 1 })];
    const { pairs, said } = await run(folder, dictionaries, { within: 1 });
    const partners = (name: string): string[] => pairs.filter(({ from }) => from === name).map(({ to }) => to);
    assert.deepEqual(['0-r', '1-r', '0-t', '3-wide'].map(partners), [['1-r'], ['0-r', '2-r'], ['2-r', '3-r'], []]);
    assert.match(said.join('\n'), /left out 3 pairs of dictionaries whose directions have different widths/);
    const refused = (some: readonly DictionaryWeights[], more: { k?: number; within?: number }, message: RegExp): Promise<void> =>
      assert.rejects(run(folder, some, more), (error: unknown) => error instanceof CallerError && error.code === 'BAD_INPUT' && message.test(error.message));
    await refused([], {}, /no two dictionaries to compare among none/);
    await refused([dictionaries[0]], {}, /0-r \(writes layer 0, 12 wide\).*--sets$/);
    await refused([dictionaries[0], dictionaries[3]], { within: 2 }, /at most 2 layers apart.*--within$/);
    await refused([dictionaries[3], dictionaries[5]], {}, /3-wide \(writes layer 3, 13 wide\)/);
    await refused([dictionaries[0], dictionaries[0]], {}, /different names/);
    await refused(dictionaries, { k: 101 }, /101 neighbours: expected 1 to 100/);
    const stranger = { ...dictionaries[1], config: { ...dictionaries[1].config, model: 'other' } };
    await refused([dictionaries[0], stranger], {}, /of one model, found tiny and other/);
  });
});

test('weights that were replaced meanwhile, and files that are gone, are told', async () => {
  await withFolder(async (dir) => {
    const [a, b] = nearestDictionaries(SIZES);
    const [one, two] = nearestSources([a, b]);
    const replaced = { ...two, read: async () => Promise.resolve({ ...b, config: { ...b.config, weightsHash: 'other' } }) };
    await assert.rejects(nearest({ dictionaries: [one, replaced], k: 1, within: null, rows, artefacts, progress: quietProgress(), dir }), { code: 'STALE_OUTPUT', message: /1-r were replaced/ });
    const pair: NearestPair = { from: '0-r', to: '1-r', file: '0-r/1-r.safetensors' };
    await assert.rejects(readNearest(artefacts, dir, pair), { code: 'STALE_OUTPUT', message: /run the nearest stage again/ });
  });
});
