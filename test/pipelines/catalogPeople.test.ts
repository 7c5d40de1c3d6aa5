import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import type { PatchRun } from '../../src/domain/patch.ts';
import type { Run } from '../../src/domain/run.ts';
import { bytesOf, contentOf, exportTo, importFrom } from '../helpers/moveCatalog.ts';
import { seedCatalog, seedConfig, seedFeature } from '../helpers/seedCatalog.ts';
import { withCatalog, type TestCatalog } from '../helpers/withCatalog.ts';
import { withFolder } from '../helpers/withFolder.ts';

const run = (key: string): Run => ({ key, stage: 'ask', params: {}, inputs: {}, seed: 0, codeVersion: 'test', startedAt: '2026-01-02T03:04:05.000Z', finishedAt: null, metrics: {} });
const HASH = '0'.repeat(64);

const patch = (id: string): PatchRun => ({
  id, input: { model: 'toy', base: 't', target: null, features: [{ feature: { model: 'toy', dictionary: '0-tied-r2', index: 3 }, operation: { kind: 'ablate' }, positions: null }], readPositions: null, topTokens: 5 },
  result: { tokens: [], targetTokens: null, positions: [], features: [], editMagnitude: 0 }, weightsHash: 'a', codeVersion: 'test', createdAt: '2026-03-04T05:06:07.089Z', milliseconds: 1,
}); // prettier-ignore

async function say(catalog: TestCatalog, index: number, name: string, description: string, owner = `key-of-${name}`): Promise<void> {
  await catalog.annotations.saveExplanation({ dictionaryId: 1, index, explainer: `person/${name}`, description, owner, weightsHash: HASH });
}

const said = async (catalog: TestCatalog) => (await catalog.sql<Record<string, unknown>>(`SELECT "index", explainer, description, detail->>'owner' AS owner FROM explanation WHERE dictionary_id = 1 AND explainer LIKE 'person/%' ORDER BY 1, 2`)).map((row) => Object.values(row));

/** Features that say they are explained, and those that are. */
const explained = async (catalog: TestCatalog) => (await catalog.sql(`SELECT count(*) FILTER (WHERE f.explained) AS say, count(*) FILTER (WHERE EXISTS (SELECT FROM explanation e WHERE (e.dictionary_id, e."index") = (f.dictionary_id, f."index"))) AS are FROM feature f`))[0]!;

test('what people explain goes with an export, what they note or list does not; a restricted model stays restricted', async () => {
  await withFolder(async (folder) => {
    const [first, second] = [join(folder, 'a'), join(folder, 'b')];
    let content: Record<string, unknown> = {};
    await withCatalog(async (catalog) => {
      await seedCatalog(catalog.writer);
      await catalog.keys.restrict('toy', true);
      await say(catalog, 1, 'ann', 'fires on marmalade');
      await say(catalog, 4, 'bob', 'machines skipped this');
      const ann = { owner: 'key-of-ann', author: 'ann', admin: false, hidden: [] };
      await catalog.annotations.addNote({ dictionaryId: 1, index: 1 }, ann, 'confidential thought', false, 10);
      await catalog.annotations.addList(ann, { name: 'confidential list', description: '', public: false }, 10);
      await exportTo(catalog, first);
      content = await contentOf(catalog);
    });
    for (const entry of await readdir(first, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const bytes = await readFile(join(entry.parentPath, entry.name));
      assert.doesNotMatch((entry.name.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString(), /confidential/, entry.name);
    }
    await withCatalog(async (catalog) => {
      await importFrom(catalog, first);
      assert.deepEqual(await contentOf(catalog), content);
      assert.deepEqual(await catalog.keys.restricted(), ['toy']);
      const [row] = await catalog.sql<{ explained: boolean }>('SELECT explained FROM feature WHERE dictionary_id = 1 AND "index" = 4');
      assert.equal(row!.explained, true);
      await exportTo(catalog, second);
      assert.deepEqual(await bytesOf(second), await bytesOf(first));
    });
  });
});

test('importing again leaves what people here say, note, list and patch; a name that is somebody else here keeps its words', async () => {
  await withFolder(async (folder) => {
    const [whole, later] = [join(folder, 'whole'), join(folder, 'later')];
    await withCatalog(async (catalog) => {
      await seedCatalog(catalog.writer);
      await say(catalog, 1, 'ann', 'before');
      await say(catalog, 2, 'bob', 'of bob there');
      await catalog.reader.savePatchRun(patch('b'));
      await exportTo(catalog, whole);
      await say(catalog, 1, 'ann', 'after');
      await exportTo(catalog, later, {}, whole);
    });
    await withCatalog(async (catalog) => {
      await importFrom(catalog, whole);
      await catalog.annotations.deleteExplanation({ dictionaryId: 1, index: 2 }, 'person/bob');
      await say(catalog, 2, 'bob', 'of bob here', 'key-of-another-bob');
      await say(catalog, 9, 'eve', 'only here');
      await catalog.reader.savePatchRun(patch('a'));
      await catalog.annotations.addNote({ dictionaryId: 1, index: 1 }, { owner: 'x', author: 'x', admin: false, hidden: [] }, 'noted here', false, 10);
      assert.deepEqual(await importFrom(catalog, whole), { counts: [null, null], measured: [null, null] }, 'people here make no difference');
      const { counts } = await importFrom(catalog, later);
      assert.deepEqual(counts.map((one) => one?.features), [40, undefined], 'what ann changed came');
      const expected = [
        [1, 'person/ann', 'after', 'key-of-ann'],
        [2, 'person/bob', 'of bob here', 'key-of-another-bob'],
        [9, 'person/eve', 'only here', 'key-of-eve'],
      ];
      assert.deepEqual(await said(catalog), expected);
      // Machines said something else meanwhile: the export's words come back, people's stay.
      await catalog.writer.saveExplanation({ model: 'toy', dictionary: '0-tied-r2', weightsHash: HASH }, run('ask-9'), { index: 3, explainer: 'pattern-v1', model: null, promptVersion: null, description: 'other words', detail: null, fragments: [], scores: [] });
      await importFrom(catalog, whole);
      assert.deepEqual(await said(catalog), [[1, 'person/ann', 'before', 'key-of-ann'], ...expected.slice(1)]);
      assert.deepEqual(await catalog.sql(`SELECT description FROM explanation WHERE dictionary_id = 1 AND "index" = 3`), [{ description: 'the giraffe in layer 0, case 3 <b>' }]);
      assert.deepEqual(await catalog.sql('SELECT dictionary_id, text FROM note'), [{ dictionary_id: 1, text: 'noted here' }]);
      assert.deepEqual(await catalog.sql('SELECT id FROM patch_run ORDER BY id'), [{ id: 'a' }, { id: 'b' }]);
      const { say: claimed, are } = await explained(catalog);
      assert.equal(claimed, are);
    });
  });
});

test("a dictionary loaded without a feature loses what people said of that feature, and nothing else of theirs", () =>
  withCatalog(async (catalog) => {
    await seedCatalog(catalog.writer);
    await say(catalog, 4, 'ann', 'of one that goes');
    await say(catalog, 5, 'ann', 'of one that stays');
    const load = (left: readonly number[], machines: boolean) =>
      catalog.writer.loadDictionary({
        config: seedConfig(0, 40), quality: null, location: 'x', tokensAnalysed: 1, runs: { train: run('train-1'), analyse: run('analyse-1') },
        features: (async function* () { for (let i = 0; i < 40; i++) if (!left.includes(i)) yield seedFeature(0, i, 40, 7); })(),
        explanations: machines ? [] : [{ explainer: 'pattern-v1', run: run('explain-1'), outcomes: (async function* () {})() }],
      }); // prettier-ignore
    await assert.rejects(load([3], true), /feature 3 has an explanation, but no analysis/);
    await load([4], false);
    assert.deepEqual(await said(catalog), [[5, 'person/ann', 'of one that stays', 'key-of-ann']]);
    assert.deepEqual(await catalog.sql('SELECT "index" FROM feature WHERE dictionary_id = 1 AND explained'), [{ index: 5 }]);
  }));
