import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileArtefacts } from '../../src/adapters/files/artefacts.ts';
import { CallerError } from '../../src/domain/errors.ts';
import { load } from '../../src/pipelines/load.ts';
import type { LoadInput } from '../../src/pipelines/load.ts';
import { MODEL, TOKENS, makeConfig, makeExplanation, makeFeature, makeRun } from '../helpers/catalogData.ts';
import { withCatalog } from '../helpers/withCatalog.ts';
import type { TestCatalog } from '../helpers/withCatalog.ts';

const F = 6;
const D = MODEL.dModel;

/** Artefacts of one dictionary on disk, as the stages leave them, and a catalog that has the model. */
async function withArtefacts(work: (catalog: TestCatalog, input: LoadInput, dir: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'load-'));
  try {
    const artefacts = fileArtefacts();
    const rows = Float32Array.from({ length: F * D }, (_, i) => (i % 7) / 8);
    const quality = { fvu: 0.25, l0: 3, aliveShare: 1, vectors: 100 };
    await artefacts.writeDictionary(join(dir, 'dictionary'), { config: makeConfig('1-a', F), encoder: rows, decoder: rows, encoderBias: new Float32Array(F), threshold: null, decoderBias: new Float32Array(D), skip: null }, quality);
    await artefacts.writeRecords(join(dir, 'features.ndjson'), Array.from({ length: F }, (_, index) => makeFeature(index)));
    await artefacts.writeRecords(join(dir, 'explanations.ndjson'), [makeExplanation(1, 'commas', 0.5), { kind: 'skipped', index: 2, reason: 'too rare' }]);
    const input: LoadInput = {
      dictionaryDir: join(dir, 'dictionary'),
      location: 'runs/train-1/1-a',
      featuresPath: join(dir, 'features.ndjson'),
      explanations: [{ explainer: 'pattern-v1', path: join(dir, 'explanations.ndjson'), run: makeRun('explain') }],
      tokensAnalysed: 1000,
      runs: { train: makeRun('train'), analyse: makeRun('analyse') },
    };
    await withCatalog(async (catalog) => {
      await catalog.writer.loadModel(MODEL, TOKENS);
      await work(catalog, input, dir);
    });
  } finally {
    await rm(dir, { recursive: true });
  }
}

test('artefacts reach the catalog', () =>
  withArtefacts(async ({ reader, writer, sql }, input) => {
    assert.deepEqual(await load(fileArtefacts(), writer, input), { features: F, exemplars: 4 * F, explanations: 1 });
    const [dictionary] = await reader.dictionaries({});
    assert.equal(dictionary!.location, input.location);
    assert.equal(dictionary!.tokensAnalysed, 1000);
    assert.match(dictionary!.weightsHash, /^[0-9a-f]{64}$/);
    const [row] = await reader.features([{ dictionaryId: dictionary!.id, index: 5 }]);
    const { exemplars: _, ...feature } = makeFeature(5);
    assert.deepEqual(row, { dictionaryId: dictionary!.id, ...feature, bestScore: null });
    assert.deepEqual(await sql('SELECT "index", explainer, reason, run FROM explanation_skip'), [{ index: 2, explainer: 'pattern-v1', reason: 'too rare', run: 'run-explain' }]);
  }));

test('without explanations', () =>
  withArtefacts(async ({ reader, writer }, input) => {
    await load(fileArtefacts(), writer, { ...input, explanations: [] });
    const [dictionary] = await reader.dictionaries({});
    const page = await reader.featurePage({ dictionaryIds: [dictionary!.id], explained: true }, 'INDEX', 5, null);
    assert.deepEqual(page.rows, []);
  }));

test('artefacts that do not belong together are refused, and nothing is stored', () =>
  withArtefacts(async ({ reader, writer }, input, dir) => {
    const stale = (message: RegExp) => (error: unknown) => error instanceof CallerError && error.code === 'STALE_OUTPUT' && message.test(error.message);
    await fileArtefacts().writeRecords(join(dir, 'short.ndjson'), [makeFeature(0)]);
    await assert.rejects(load(fileArtefacts(), writer, { ...input, featuresPath: join(dir, 'short.ndjson'), explanations: [] }), stale(/has 1 features: expected 6/));
    await assert.rejects(load(fileArtefacts(), writer, { ...input, runs: { ...input.runs, train: makeRun('train', 'other') } }), stale(/was made by run run-train/));
    assert.deepEqual(await reader.dictionaries({}), []);
  }));
