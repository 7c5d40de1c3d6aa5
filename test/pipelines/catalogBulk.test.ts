import assert from 'node:assert/strict';
import { cp, mkdir, readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import type { PatchRun } from '../../src/domain/patch.ts';
import { RUN, bytesOf, contentOf, exportTo, importFrom } from '../helpers/moveCatalog.ts';
import { seedCatalog, seedConfig, loadSeeded } from '../helpers/seedCatalog.ts';
import { withCatalog, type TestCatalog } from '../helpers/withCatalog.ts';
import { withFolder } from '../helpers/withFolder.ts';

const ONE = ['0-tied-r2'];
const FEATURES = 1030; // two batches

const PATCH: PatchRun = {
  id: 'ab'.repeat(32),
  input: { model: 'toy', base: ' t1 t2', target: null, features: [{ feature: { model: 'toy', dictionary: '1-tied-r2', index: 3 }, operation: { kind: 'ablate' }, positions: null }], readPositions: null, topTokens: 5 },
  result: { tokens: [' t1', ' t2'], targetTokens: null, positions: [], features: [], editMagnitude: 0.1 },
  weightsHash: 'a'.repeat(64),
  codeVersion: 'test',
  createdAt: '2026-03-04T05:06:07.089Z',
  milliseconds: 12.5,
};

/** A catalog with everything in it, explanations made on demand too. */
async function fill(catalog: TestCatalog): Promise<void> {
  await seedCatalog(catalog.writer, { features: FEATURES });
  await catalog.reader.savePatchRun(PATCH);
  const target = { model: 'toy', dictionary: '0-tied-r2', weightsHash: '0'.repeat(64) };
  const other = { dictionary: '1-tied-r2', weightsHash: '1'.repeat(64) };
  const indices = Int32Array.from({ length: 2 * FEATURES }, (_, i) => (i % 7 === 0 ? -1 : (i * 31) % FEATURES));
  const cosines = Float32Array.from(indices, (_, i) => 1 / (2 + (i % 2) + (i % 13)));
  const nearest = async () => Promise.resolve({ k: 2, indices, cosines });
  await catalog.writer.loadNearest('toy', [{ run: { ...RUN, key: 'nearest-1', stage: 'nearest' }, from: target, to: other, read: nearest }, { run: { ...RUN, key: 'nearest-2', stage: 'nearest' }, from: other, to: target, read: nearest }]);
  await catalog.writer.saveExplanation(target, { ...RUN, key: 'ask-1', stage: 'ask' }, {
    index: 7, explainer: 'max-act-v1@judge', model: 'judge', promptVersion: 'max-act-v1', description: 'rivers, "quoted" <b>\n', detail: { b: 1, a: [0.1, null] }, fragments: [{ row: 9, start: 1, length: 64 }],
    scores: ['detection', 'ablation'].map((scorer, i) => ({ scorer, judge: 'judge', promptVersion: 'v1', value: 0.1 + i, undefinedReason: null, n: 3, low: 1e-7, high: 1, fragments: [{ row: i, start: 0, length: 64 }] })),
  }); // prettier-ignore
  await catalog.writer.saveSkip(target, { ...RUN, key: 'ask-2', stage: 'ask' }, { index: 8, explainer: 'max-act-v1@judge', reason: 'too rare' });
  await catalog.writer.saveExplanation(target, { ...RUN, key: 'ask-3', stage: 'ask' }, { index: 9, explainer: 'pattern-v1', model: null, promptVersion: null, description: 'a comma', detail: null, fragments: [], scores: [] });
}

test('an export imported into an empty database gives the same catalog, and exports to the same bytes', async () => {
  await withFolder(async (folder) => {
    const [first, second] = [join(folder, 'a'), join(folder, 'b')];
    let content: Record<string, unknown> = {};
    await withCatalog(async (catalog) => {
      await fill(catalog);
      assert.deepEqual((await exportTo(catalog, first)).map(({ features }) => features), [FEATURES, FEATURES]);
      content = await contentOf(catalog);
    });
    const before = await bytesOf(first);
    await withCatalog(async (catalog) => {
      const { counts, measured } = await importFrom(catalog, first);
      assert.deepEqual(counts.map((one) => one?.features), [FEATURES, FEATURES]);
      assert.deepEqual(measured.map((one) => [one?.edges, one?.outputs, one?.patches]), [[0, 2 * FEATURES, 0], [2 * FEATURES, 2 * FEATURES, 1]]);
      assert.ok(measured.every((one) => one!.nearest > FEATURES / 2));
      assert.deepEqual(await contentOf(catalog), content);
      assert.deepEqual(await catalog.sql('SELECT dictionary_id FROM search_outbox WHERE "index" = -1 ORDER BY 1'), [{ dictionary_id: 1 }, { dictionary_id: 2 }], 'the search index is told');
      await exportTo(catalog, second);
      assert.deepEqual(await bytesOf(second), before);
      assert.deepEqual(await importFrom(catalog, first), { counts: [null, null], measured: [null, null] }, 'what is there is not written again');
    });
    const gzip = await readFile(join(first, 'v1/toy/0-tied-r2/features/batch-1.jsonl.gz'));
    assert.deepEqual([...gzip.subarray(3, 10)], [0, 0, 0, 0, 0, 0, 255].map((byte, i) => (i === 5 ? gzip[8] : byte)), 'no name, no time, no machine');
    assert.equal(gunzipSync(gzip).toString().trimEnd().split('\n').length, FEATURES - 1024);
  });
});

test('a later export writes only what changed, beside the earlier one or over it', async () => {
  await withFolder(async (folder) => {
    const [whole, later] = [join(folder, 'whole'), join(folder, 'later')];
    await withCatalog(async (catalog) => {
      await seedCatalog(catalog.writer, { features: FEATURES, layers: 1 });
      await exportTo(catalog, whole, {}, null, ONE);
      await cp(whole, join(folder, 'earlier'), { recursive: true });
      const features = join(whole, 'v1/toy/0-tied-r2/features/batch-0.jsonl.gz');
      const untouched = (await stat(features)).mtimeMs;
      await catalog.writer.saveExplanation({ model: 'toy', dictionary: '0-tied-r2', weightsHash: '0'.repeat(64) }, { ...RUN, key: 'ask-3' }, { index: 1027, explainer: 'pattern-v1', model: null, promptVersion: null, description: 'a comma', detail: null, fragments: [], scores: [] });
      await exportTo(catalog, later, {}, whole, ONE);
      const batches = (await readdir(join(later, 'v1/toy/0-tied-r2'), { recursive: true })).filter((name) => name.endsWith('.gz')).sort();
      assert.deepEqual(batches, ['explanations/batch-1.jsonl.gz', 'runs/batch-0.jsonl.gz', 'runs/batch-1.jsonl.gz', 'scores/batch-1.jsonl.gz']);
      const [again] = await exportTo(catalog, whole, {}, null, ONE);
      assert.deepEqual([again!.written, again!.removed], [3, 0]);
      assert.equal((await stat(features)).mtimeMs, untouched);
    });
    await withCatalog(async (catalog) => {
      await assert.rejects(importFrom(catalog, later, ONE), /import the export that this one continues first/);
      await importFrom(catalog, join(folder, 'earlier'), ONE);
      const { counts } = await importFrom(catalog, later, ONE);
      assert.equal(counts[0]?.features, FEATURES);
      const again = join(folder, 'again');
      await exportTo(catalog, again, {}, null, ONE);
      assert.deepEqual(await bytesOf(again), await bytesOf(whole));
    });
  });
});

test('an export can be a part: an index range, what is explained, what scores well', async () => {
  await withFolder(async (folder) => {
    await withCatalog(async (catalog) => {
      await seedCatalog(catalog.writer);
      const [part] = await exportTo(catalog, folder, { from: 10, to: 30, explained: true, minScore: 0.5 });
      const rows = await catalog.sql<{ index: number }>(`SELECT "index" FROM feature WHERE dictionary_id = 1 AND "index" BETWEEN 10 AND 29 AND explained AND best_score >= 0.5 ORDER BY 1`);
      assert.ok(rows.length > 2);
      assert.equal(part!.features, rows.length);
      const lines = gunzipSync(await readFile(join(folder, 'v1/toy/0-tied-r2/scores/batch-0.jsonl.gz'))).toString().trimEnd().split('\n');
      assert.deepEqual(lines.map((line) => Number((JSON.parse(line) as { index: string }).index)), rows.map(({ index }) => index));
      assert.deepEqual(await importFrom(catalog, folder), { counts: [null, null], measured: [null, null] });
      await loadSeeded(catalog.writer, seedConfig(0, 40), 'elsewhere', 0, 8);
      await assert.rejects(importFrom(catalog, folder), /holds a part of toy\/0-tied-r2/);
    });
    await withCatalog(async (catalog) => {
      const { counts, measured } = await importFrom(catalog, folder, ['1-tied-r2']);
      assert.ok(counts[0]!.features > 0);
      assert.deepEqual([...measured[0]!.without.keys()], ['0-tied-r2'], 'edges from a dictionary that is not there are left out, and counted');
    });
  });
});

test("files in the field's layout are taken as far as they go; a bad line is named", async () => {
  await withFolder(async (folder) => {
    const place = join(folder, 'v1/toy/0-res-x');
    const put = async (kind: string, rows: readonly unknown[]): Promise<void> => {
      await mkdir(join(place, kind), { recursive: true });
      await writeFile(join(place, kind, 'batch-0.jsonl.gz'), gzipSync(rows.map((row) => (typeof row === 'string' ? row : JSON.stringify(row))).join('\n')));
    };
    // In the order of the index as text, as the field pages.
    const feature = (index: string) => ({ modelId: 'toy', layer: '0-res-x', index, maxActApprox: 2.5, frac_nonzero: 0.01, freq_hist_data_bar_heights: [3, 1], freq_hist_data_bar_values: [0.5, 1.5], pos_str: [' t3', 'nowhere'], pos_values: [1.5, 1], neg_str: [], neg_values: [], topkCosSimIndices: [], topkCosSimValues: [], hookName: 'blocks.0.hook_resid_post' });
    await put('features', [feature('0'), feature('10'), feature('2')]);
    await put('activations', [{ id: 'x', modelId: 'toy', layer: '0-res-x', index: '10', tokens: ['▁t1', ' t2'], values: [0, 2.5], maxValue: 2.5, minValue: 0 }]);
    await put('explanations', [{ id: 'e', modelId: 'toy', layer: '0-res-x', index: '2', description: 'rivers', typeName: 'oai_token-act-pair', explanationModelName: 'some-model' }]);
    await withCatalog(async (catalog) => {
      await assert.rejects(importFrom(catalog, folder, ['0-res-x']), /the catalog has no model toy/);
      await seedCatalog(catalog.writer);
      const { counts } = await importFrom(catalog, folder, ['0-res-x']);
      assert.deepEqual(counts[0], { features: 3, exemplars: 1, explanations: 1 });
      const dictionary = (await catalog.reader.dictionaries({ model: 'toy', names: ['0-res-x'] })).find(({ name }) => name === '0-res-x')!;
      assert.deepEqual([dictionary.hookPoint, dictionary.nFeatures, dictionary.trainRun, dictionary.tokensAnalysed], ['resid_post.0', 11, RUN.key, null]);
      const [row] = await catalog.reader.features([{ dictionaryId: dictionary.id, index: 10 }]);
      assert.deepEqual([row!.maxActivation, row!.histogram, row!.topLogits], [2.5, { edges: [0, 1, 2], counts: [3, 1] }, [{ id: 3, value: 1.5 }]]);
      const [exemplars] = await catalog.reader.exemplars([{ dictionaryId: dictionary.id, index: 10 }], ['top'], 5);
      assert.deepEqual(exemplars!.map(({ ids, activations }) => [ids, activations]), [[[1, 2], [0, 2.5]]]);
      const [explanations] = await catalog.reader.explanations([{ dictionaryId: dictionary.id, index: 2 }]);
      assert.deepEqual(explanations!.map(({ explainer, description }) => [explainer, description]), [['oai_token-act-pair@some-model', 'rivers']]);

      const before = await contentOf(catalog);
      for (const [rows, message] of [
        [[feature('0'), '{"index":'], /features\/batch-0\.jsonl\.gz:2: expected one JSON object/],
        [[feature('0'), { ...feature('1'), maxActApprox: 'high' }, feature('10')], /batch-0\.jsonl\.gz:2: column "maxActApprox": expected a number, found "high"/],
        [[feature('0'), { ...feature('1'), pos_values: [1] }, feature('10')], /batch-0\.jsonl\.gz:2: column "pos_values"/],
        [[feature('0'), feature('2')], /activations\/batch-0\.jsonl\.gz:1: feature 10 is not in features\/batch-0/],
      ] as const) {
        await put('features', rows);
        await assert.rejects(importFrom(catalog, folder, ['0-res-x']), message);
      }
      await writeFile(join(place, 'features/batch-0.jsonl.gz'), gzipSync('{}').subarray(0, 15));
      await assert.rejects(importFrom(catalog, folder, ['0-res-x']), /features\/batch-0\.jsonl\.gz: after line 0 expected more gzip data/);
      assert.deepEqual(await contentOf(catalog), before, 'what failed left nothing');
    });
  });
});

test('a file that was changed after the export is refused', async () => {
  await withFolder(async (folder) => {
    await withCatalog(async (catalog) => {
      await seedCatalog(catalog.writer);
      await exportTo(catalog, folder);
    });
    const path = join(folder, 'v1/toy/1-tied-r2/scores/batch-0.jsonl.gz');
    await writeFile(path, gzipSync(gunzipSync(await readFile(path)).toString().replace('"n":640', '"n":641')));
    await withCatalog(async (catalog) => {
      await assert.rejects(importFrom(catalog, folder), /scores\/batch-0\.jsonl\.gz is not what the manifest says it is/);
      assert.deepEqual((await catalog.reader.dictionaries({ model: 'toy' })).map(({ name }) => name), ['0-tied-r2']);
    });
  });
});

test('a dictionary that is there with other weights, or loaded otherwise, gives way to the export, with its edges', async () => {
  await withFolder(async (folder) => {
    let content: Record<string, unknown> = {};
    await withCatalog(async (catalog) => {
      await seedCatalog(catalog.writer);
      await exportTo(catalog, folder);
      content = await contentOf(catalog);
    });
    await withCatalog(async (catalog) => {
      await seedCatalog(catalog.writer);
      await loadSeeded(catalog.writer, { ...seedConfig(0, 40), weightsHash: 'e'.repeat(64) }, 'elsewhere', 0, 8);
      await loadSeeded(catalog.writer, seedConfig(1, 40), 'elsewhere', 1, 9);
      assert.deepEqual(await catalog.sql('SELECT count(*)::int AS n FROM circuit_edge'), [{ n: 0 }]);
      await importFrom(catalog, folder);
      assert.deepEqual(await contentOf(catalog), content);
      assert.deepEqual(await catalog.sql('SELECT id FROM dictionary ORDER BY id'), [{ id: 1 }, { id: 2 }], 'what hangs on its number stays');
    });
  });
});
