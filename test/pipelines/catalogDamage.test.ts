import assert from 'node:assert/strict';
import { cp, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { batchFiles } from '../../src/adapters/files/batchFiles.ts';
import { CallerError } from '../../src/domain/errors.ts';
import { contentOf, exportTo, importFrom } from '../helpers/moveCatalog.ts';
import { seedCatalog } from '../helpers/seedCatalog.ts';
import { withCatalog } from '../helpers/withCatalog.ts';
import { withFolder } from '../helpers/withFolder.ts';

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
      const feature = { model: 'toy', dictionary: '1-tied-r2', index: 3 };
      const patch = (id: string, base: string, dictionary: string) => ({
        id, input: { model: 'toy', base, target: null, features: [{ feature: { ...feature, dictionary }, operation: { kind: 'ablate' as const }, positions: null }], readPositions: null, topTokens: 5 },
        result: { tokens: [], targetTokens: null, positions: [], features: [], editMagnitude: 0 }, weightsHash: 'a', codeVersion: 'test', createdAt: '2026-03-04T05:06:07.089Z', milliseconds: 1,
      }); // prettier-ignore
      // One that only names the other dictionary in its text is not of it.
      await catalog.reader.savePatchRun(patch('a', 'x\0y', '1-tied-r2'));
      await catalog.reader.savePatchRun(patch('b', '"0-tied-r2"', '1-tied-r2'));
      await exportTo(catalog, folder);
      const ids = async (name: string) => [...(await readFile(join(folder, `v1/toy/${name}/manifest.json`), 'utf8')).matchAll(/"patches\/[^}]*"lines":(\d+)/g)].map(([, lines]) => lines);
      assert.deepEqual([await ids('0-tied-r2'), await ids('1-tied-r2')], [[], ['2']]);
    }),
  ));
