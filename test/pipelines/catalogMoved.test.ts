import assert from 'node:assert/strict';
import { cp, mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { batchFiles } from '../../src/adapters/files/batchFiles.ts';
import { CallerError } from '../../src/domain/errors.ts';
import type { PatchRun } from '../../src/domain/patch.ts';
import type { Run } from '../../src/domain/run.ts';
import { bytesOf, contentOf, exportTo, importFrom } from '../helpers/moveCatalog.ts';
import { seedCatalog, seedConfig, seedFeature } from '../helpers/seedCatalog.ts';
import { withCatalog, type TestCatalog } from '../helpers/withCatalog.ts';
import { withFolder } from '../helpers/withFolder.ts';

const run = (key: string): Run => ({ key, stage: 'ask', params: {}, inputs: {}, seed: 0, codeVersion: 'test', startedAt: '2026-01-02T03:04:05.000Z', finishedAt: null, metrics: {} });
const HASH = '0'.repeat(64);

const patch = (id: string, dictionary = '0-tied-r2', base = 't'): PatchRun => ({
  id, input: { model: 'toy', base, target: null, features: [{ feature: { model: 'toy', dictionary, index: 3 }, operation: { kind: 'ablate' }, positions: null }], readPositions: null, topTokens: 5 },
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

const HOME = 'v1/toy/0-tied-r2';

async function changed(path: string, change: (text: string) => string): Promise<void> {
  const bytes = await readFile(path);
  const gzipped = path.endsWith('.gz');
  const text = change((gzipped ? gunzipSync(bytes) : bytes).toString());
  await writeFile(path, gzipped ? gzipSync(text) : text);
}

test('files that were damaged, changed or moved are refused, named, and leave nothing, not even their model', async () => {
  await withFolder(async (folder) => {
    const good = join(folder, 'good');
    await withCatalog(async (catalog) => {
      await seedCatalog(catalog.writer);
      await catalog.annotations.saveExplanation({ dictionaryId: 1, index: 1, explainer: 'person/ann', description: 'x', owner: 'k', weightsHash: '' });
      await exportTo(catalog, good);
    });
    const edit = (path: string, from: string | RegExp, to: string) => [path, (text: string) => text.replace(from, to)] as const;
    const second = (line: string) => (text: string) => text.split('\n').with(1, line).join('\n');
    const cases: readonly (readonly [readonly [string, (text: string) => string], RegExp])[] = [
      [edit('manifest.json', 'feature-catalog/1', 'feature-catalog/2'), /manifest\.json:1: expected a manifest of format "feature-catalog\/1", found "feature-catalog\/2"/],
      [edit('manifest.json', '"filter":{}', '"filter":null'), /manifest\.json:1: expected a manifest/],
      [edit('manifest.json', '"dictionary":"0-tied-r2"', '"dictionary":"9-tied-r2"'), /expected the manifest of v1\/toy\/0-tied-r2, found that of v1\/toy\/9-tied-r2/],
      [edit('manifest.json', /^\{/, '{{'), /manifest\.json:1: expected one JSON object/],
      [edit('source.jsonl', '"location":"dictionaries/0"', '"location":"elsewhere"'), /source\.jsonl is not what the manifest says it is/],
      [edit('source.jsonl', '"hookPoint":"resid_post.0"', '"hookPoint":"resid"'), /source\.jsonl is not what the manifest says it is/],
      [edit('model.jsonl', '"layers":2', '"layers":3'), /model\.jsonl is not what the manifest says it is/],
      [['token.jsonl.gz', second('" t1')], /token\.jsonl\.gz:2: expected a token's text/],
      [['token.jsonl.gz', second('" other"')], /token\.jsonl\.gz is not what the manifest says it is/],
      [['run.jsonl', second('{"key":"x"}')], /run\.jsonl:2: column "stage": expected text, found nothing/],
      [['features/batch-0.jsonl.gz', second('{"index":"1"')], /features\/batch-0\.jsonl\.gz:2: expected one JSON object/],
      [['activations/batch-0.jsonl.gz', second('[]')], /activations\/batch-0\.jsonl\.gz:2: expected one JSON object, found \[\]/],
      [['scores/batch-0.jsonl.gz', second('{}')], /scores\/batch-0\.jsonl\.gz:2: column "index"/],
      [edit('people/batch-0.jsonl.gz', '"authorId":"k"', '"authorId":"another"'), /people\/batch-0\.jsonl\.gz is not what the manifest says it is/],
      [edit('people/batch-0.jsonl.gz', '"explainer":"person/ann"', '"explainer":"machine"'), /people\/batch-0\.jsonl\.gz:1: catalog: column "explainer": expected "person\/<name>"/],
      [edit('explanations/batch-0.jsonl.gz', '"explainer":"pattern-v1"', '"explainer":"person/ann"'), /explanations\/batch-0\.jsonl\.gz:1: catalog: column "explainer": expected a machine/],
    ];
    const bad = join(folder, 'bad');
    await withCatalog(async (catalog) => {
      const rows = async () => (await catalog.sql<{ n: number }>('SELECT count(*)::int AS n FROM (SELECT FROM model UNION ALL SELECT FROM token UNION ALL SELECT FROM run UNION ALL SELECT FROM dictionary UNION ALL SELECT FROM feature UNION ALL SELECT FROM explanation) q'))[0]!.n;
      for (const [[path, change], message] of cases) {
        await rm(bad, { recursive: true, force: true });
        await cp(good, bad, { recursive: true });
        await changed(join(bad, HOME, path), change);
        await assert.rejects(importFrom(catalog, bad, ['0-tied-r2']), (error: unknown) => error instanceof CallerError && message.test(error.message), path);
        assert.equal(await rows(), 0, path);
      }
      await rm(bad, { recursive: true });
      await cp(good, bad, { recursive: true });
      await rename(join(bad, HOME), join(bad, 'v1/toy/7-tied-r2'));
      await assert.rejects(importFrom(catalog, bad, ['7-tied-r2']), /expected the manifest of v1\/toy\/7-tied-r2/);
      await rm(join(bad, 'v1/toy/7-tied-r2/manifest.json'));
      await seedCatalog(catalog.writer);
      await assert.rejects(importFrom(catalog, bad, ['7-tied-r2']), /features\/batch-0\.jsonl\.gz:1: this program wrote it, and there is no manifest\.json beside it/, 'a half export');
      await rename(join(bad, 'v1/toy/7-tied-r2'), join(bad, HOME));
      await assert.rejects(importFrom(catalog, bad, ['0-tied-r2']), /has a dictionary toy\/0-tied-r2 with weights/, 'without a manifest it is another program’s');
    });
  });
});

test("claims of another program's files are not believed: no dictionary of a billion features, no words in people's names", async () => {
  await withFolder(async (folder) => {
    const put = async (kind: string, row: unknown): Promise<void> => {
      await mkdir(join(folder, 'v1/toy/0-res-x', kind), { recursive: true });
      await writeFile(join(folder, 'v1/toy/0-res-x', kind, 'batch-0.jsonl.gz'), gzipSync(JSON.stringify(row)));
    };
    const feature = { index: '2000000000', maxActApprox: 2, hookName: 'blocks.0.hook_resid_post' };
    await withCatalog(async (catalog) => {
      await seedCatalog(catalog.writer);
      const before = await contentOf(catalog);
      await put('features', feature);
      await assert.rejects(importFrom(catalog, folder, ['0-res-x']), /features\/batch-0\.jsonl\.gz:1: column "index": expected at most 33554432/);
      await put('features', { ...feature, index: '1' });
      await put('explanations', { index: '1', description: 'x', typeName: 'person/ann' });
      await assert.rejects(importFrom(catalog, folder, ['0-res-x']), /explanations\/batch-0\.jsonl\.gz:1: column "typeName"/);
      assert.deepEqual(await contentOf(catalog), before);
    });
  });
});

test('a line without end is refused before it fills the memory', () =>
  withFolder(async (folder) => {
    const line = Buffer.alloc(1 << 20, 'a');
    await writeFile(join(folder, 'a.jsonl.gz'), Buffer.concat([gzipSync('1\n'), ...Array.from({ length: 80 }, () => gzipSync(line))]));
    const read = async (): Promise<void> => {
      for await (const { text } of batchFiles(folder).read('a.jsonl.gz')) assert.equal(text, '1');
    };
    await assert.rejects(read, /a\.jsonl\.gz:2: expected a line of at most 67108864 characters/);
  }));

test('a part that is imported again replaces the edges of its features, and no others', () =>
  withFolder(async (folder) =>
    withCatalog(async (catalog) => {
      await seedCatalog(catalog.writer);
      await exportTo(catalog, folder, { from: 10, to: 30 });
      const before = await contentOf(catalog);
      await catalog.sql(`DELETE FROM circuit_edge WHERE target_dictionary_id = 2 AND target_index = 15; DELETE FROM output_edge WHERE source_dictionary_id = 2 AND source_index = 16; UPDATE feature SET edges = edges - 1 WHERE dictionary_id = 2 AND "index" = 15`);
      const { measured } = await importFrom(catalog, folder);
      assert.deepEqual(measured.map((one) => one?.edges), [undefined, 40]);
      assert.deepEqual(await contentOf(catalog), before);
    }),
  ));

test('a prompt with a NUL in it does not keep its dictionary from being exported', () =>
  withFolder(async (folder) =>
    withCatalog(async (catalog) => {
      await seedCatalog(catalog.writer);
      // One that only names the other dictionary in its text is not of it.
      await catalog.reader.savePatchRun(patch('a', '1-tied-r2', 'x\0y'));
      await catalog.reader.savePatchRun(patch('b', '1-tied-r2', '"0-tied-r2"'));
      await exportTo(catalog, folder);
      const ids = async (name: string) => [...(await readFile(join(folder, `v1/toy/${name}/manifest.json`), 'utf8')).matchAll(/"patches\/[^}]*"lines":(\d+)/g)].map(([, lines]) => lines);
      assert.deepEqual([await ids('0-tied-r2'), await ids('1-tied-r2')], [[], ['2']]);
    }),
  ));
