import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { readCurrentRuns, updateCurrentRuns } from '../../src/adapters/files/currentRuns.ts';
import { readConfig } from '../../src/config.ts';
import type { DictionaryWeights } from '../../src/domain/dictionary.ts';
import { loadNearestOf } from '../../scripts/stages/loadNearest.ts';
import { NEAREST_DEFAULTS, nearestStage, type NearestOptions } from '../../scripts/stages/nearest.ts';
import { openWorkspace } from '../../scripts/workspace.ts';
import { MODEL, TOKENS, makeConfig, makeLoad } from '../helpers/catalogData.ts';
import { runCli } from '../helpers/cli.ts';
import { quietProgress } from '../helpers/quietProgress.ts';
import { randomDictionary } from '../helpers/randomDictionary.ts';
import { withCatalog } from '../helpers/withCatalog.ts';
import { withFolder } from '../helpers/withFolder.ts';

const F = 30;
const K = 3;
const located = { name: 'toy', source: 'models/toy', folder: 'models/toy' };

/** Dictionaries by layer and set, as training leaves them; `seed` 2 is a retrained one. */
async function make(home: string, name: string, seed = 1): Promise<DictionaryWeights> {
  const { artefacts } = openWorkspace({ ...readConfig({}), home });
  const drawn = randomDictionary(name, `resid_post.${Number(name[0])}`, 8, F, { seed });
  const weights = await artefacts.writeDictionary(join(home, 'made', `${name}-${seed}`), { ...drawn, config: { ...drawn.config, model: 'toy' } }, null);
  await updateCurrentRuns(home, 'toy', located.source, (current) => ({
    ...current,
    dictionaries: { ...current.dictionaries, [name]: { train: 'made', weights: `made/${name}-${seed}`, tokens: 'made', trainRows: 1, analyse: null, explain: {} } },
  }));
  return weights;
}

test('nearest, then load: what is there is reused, runs add up, retrained dictionaries are left out until they are compared again', () =>
  withFolder((home) =>
    withCatalog(async ({ writer, reader }) => {
      const progress = quietProgress();
      const workspace = { ...openWorkspace({ ...readConfig({}), home }), progress };
      const stage = (more: Partial<NearestOptions> = {}) => nearestStage(workspace, located, { ...NEAREST_DEFAULTS, sets: ['a'], k: K, ...more }, 1);
      await writer.loadModel(MODEL, TOKENS);
      const put = async (weights: DictionaryWeights): Promise<void> => {
        const { name, hookPoint, weightsHash } = weights.config;
        await writer.loadDictionary(makeLoad(name, F, [], { config: makeConfig(name, F, { hookPoint, weightsHash }) }));
      };
      const load = async () => loadNearestOf(workspace, writer, 'toy', new Map((await reader.dictionaries({})).map(({ name, weightsHash }) => [name, weightsHash])));
      /** Dictionaries that feature 0 of one has nearest features in. */
      const beside = async (name: string): Promise<string[]> => {
        const names = new Map((await reader.dictionaries({})).map((row) => [row.id, row.name]));
        const id = [...names].find(([, found]) => found === name)![0];
        const [rows] = await reader.nearest([{ dictionaryId: id, index: 0 }]);
        return [...new Set(rows.map(({ dictionaryId }) => names.get(dictionaryId)!))].sort();
      };
      for (const name of ['0-a', '1-a', '2-a', '1-b']) await put(await make(home, name));
      assert.deepEqual(await load(), { pairs: 0, kept: 0 });

      const first = await stage();
      assert.deepEqual([first.reused, (await stage()).reused], [false, true]);
      assert.match(progress.lines.join('\n'), /nearest: reused/);
      assert.deepEqual(Object.keys(first.run.inputs).sort(), ['0-a', '1-a', '2-a']);
      assert.deepEqual(await load(), { pairs: 6, kept: 0 });
      assert.deepEqual(await load(), { pairs: 0, kept: 6 });
      assert.deepEqual([await beside('1-a'), await beside('1-b')], [['0-a', '2-a'], []]);

      // Another run adds the other set; of pairs in both, the later one counts.
      const second = await stage({ sets: ['a', 'b'], within: 0 });
      assert.equal((await readCurrentRuns(home, 'toy'))!.nearest!.length, 2);
      assert.deepEqual(await load(), { pairs: 2, kept: 6 });
      assert.deepEqual([await beside('1-a'), await beside('1-b')], [['0-a', '1-b', '2-a'], ['1-a']]);
      await stage({ sets: ['b', 'a'], k: 2 });
      assert.equal((await readCurrentRuns(home, 'toy'))!.nearest!.length, 1, 'runs that say nothing of their own any more are dropped');
      assert.deepEqual(await load(), { pairs: 12, kept: 0 });
      assert.notEqual(first.run.key, second.run.key);

      // Trained again: what was measured on the weights before is neither kept nor loaded.
      await put(await make(home, '1-a', 2));
      assert.deepEqual([await beside('1-a'), await beside('0-a')], [[], ['1-b', '2-a']]);
      progress.lines.length = 0;
      assert.deepEqual(await load(), { pairs: 0, kept: 6 });
      assert.match(progress.lines.join('\n'), /left out nearest features of an earlier toy\/1-a; run the nearest stage again/);
      await stage();
      assert.deepEqual(await load(), { pairs: 6, kept: 4 });
      assert.deepEqual([await beside('1-a'), await beside('1-b')], [['0-a', '2-a'], ['0-a', '2-a']]);
    }),
  ));

test('the command: its runs and its refusals', () =>
  withFolder(async (home) => {
    for (const name of ['0-a', '1-a', '3-a']) await make(home, name);
    const model = join(import.meta.dirname, '..', '..', 'models', 'demo');
    const nearest = (more: readonly string[], status = 0): Promise<string> => runCli(home, ['nearest', '--model', model, '--name', 'toy', '--set', 'a', ...more], status);
    assert.match(await nearest(['--neighbours', '4', '--workers', '1']), /3 pairs of dictionaries[\s\S]*nearest: ran/);
    assert.match(await nearest(['--set', 'b'], 2), /no dictionaries of set b.*it has the sets a/);
    assert.match(await nearest(['--layers', '0,3', '--within', '1'], 2), /0-a \(writes layer 0, 8 wide\), 3-a \(writes layer 3, 8 wide\).*raise --within/);
    assert.match(await nearest(['--within', 'near'], 1), /expected all, or a number of layers/);
    const folders = (await readdir(join(home, 'runs'))).filter((name) => name.startsWith('nearest-'));
    assert.equal(folders.length, 1, 'what is refused leaves nothing');
    const { metrics } = JSON.parse(await readFile(join(home, 'runs', folders[0], 'manifest.json'), 'utf8')) as { metrics: { pairs: readonly unknown[] } };
    assert.equal(metrics.pairs.length, 6);
  }));
