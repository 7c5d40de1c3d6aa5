import assert from 'node:assert/strict';
import { readFile, readdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileArtefacts } from '../../../src/adapters/files/artefacts.ts';
import type { DictionaryWeights } from '../../../src/domain/dictionary.ts';
import { Rng } from '../../../src/math/rng.ts';
import { gather } from '../../helpers/gather.ts';
import { withFolder } from '../../helpers/withFolder.ts';

const D = 5;
const F = 7;
const O = 4;

function someDictionary(): DictionaryWeights {
  const rng = new Rng(1);
  const draw = (n: number): Float32Array => Float32Array.from({ length: n }, () => rng.normal());
  return {
    config: { formatVersion: 1, name: '2-tied-r1', model: 'demo', hookPoint: 'resid_post.2', outputHookPoint: 'mlp_out.2', architecture: 'topk', dIn: D, dOut: O, nFeatures: F, k: 3, l1: 1e-3, inputScale: 0.1 + 0.2, outputScale: 0.7, weightsHash: '', run: 'abc' },
    encoder: draw(F * D),
    encoderBias: draw(F),
    threshold: draw(F),
    decoder: draw(F * O),
    decoderBias: draw(O),
    skip: draw(O * D),
  };
}

const files = fileArtefacts();
const hasCode = (code: string, pattern: RegExp) => (error: unknown) => {
  assert.equal((error as { code?: string }).code, code, String(error));
  assert.match((error as Error).message, pattern);
  return true;
};

test('a dictionary comes back to the bit, twice in the same place, leaving no temporary files', async () => {
  await withFolder(async (folder) => {
    const dir = join(folder, '2-tied-r1');
    const quality = { fvu: 0.25, l0: 12.5, aliveShare: 1, vectors: 100 };
    const written = await files.writeDictionary(dir, someDictionary(), null);
    const again = await files.writeDictionary(dir, someDictionary(), quality);
    assert.match(written.config.weightsHash, /^[0-9a-f]{64}$/);
    assert.equal(again.config.weightsHash, written.config.weightsHash);
    const read = await files.readDictionary(dir);
    assert.deepEqual(read.weights, again);
    assert.deepEqual(read.quality, quality);
    assert.deepEqual(await readdir(folder), ['2-tied-r1']);
    const scaled = await files.writeDictionary(join(folder, 'other'), { ...again, config: { ...again.config, inputScale: 2 } }, null);
    assert.notEqual(scaled.config.weightsHash, written.config.weightsHash, 'the hash covers the input scale');
  });
});

test('damaged dictionaries are named errors', async () => {
  await withFolder(async (folder) => {
    const dir = join(folder, 'd');
    const fresh = async (): Promise<void> => void (await files.writeDictionary(dir, someDictionary(), null));
    const weights = join(dir, 'weights.safetensors');
    await assert.rejects(files.readDictionary(dir), hasCode('BAD_DICTIONARY', /does not exist/));

    await fresh();
    const bytes = await readFile(weights);
    await truncate(weights, bytes.length - 4);
    await assert.rejects(files.readDictionary(dir), hasCode('BAD_DICTIONARY', /truncated/));
    await truncate(weights, 5);
    await assert.rejects(files.readDictionary(dir), hasCode('BAD_DICTIONARY', /truncated/));

    const nan = Buffer.from(bytes);
    nan.writeFloatLE(Number.NaN, nan.length - 4);
    await writeFile(weights, nan);
    await assert.rejects(files.readDictionary(dir), hasCode('BAD_DICTIONARY', /skip holds NaN/));

    const changed = Buffer.from(bytes);
    changed.writeFloatLE(3, changed.length - 4);
    await writeFile(weights, changed);
    await assert.rejects(files.readDictionary(dir), hasCode('BAD_DICTIONARY', /sha-256/));

    await fresh();
    const config = JSON.parse(await readFile(join(dir, 'cfg.json'), 'utf8')) as Record<string, unknown>;
    await writeFile(join(dir, 'cfg.json'), JSON.stringify({ ...config, formatVersion: 2 }));
    await assert.rejects(files.readDictionary(dir), hasCode('BAD_DICTIONARY', /formatVersion 1, found 2/));
    await writeFile(join(dir, 'cfg.json'), JSON.stringify({ ...config, nFeatures: 8 }));
    await assert.rejects(files.readDictionary(dir), hasCode('BAD_DICTIONARY', /shape \[7, 5\], expected \[8, 5\]/));
    await writeFile(join(dir, 'cfg.json'), '{');
    await assert.rejects(files.readDictionary(dir), hasCode('BAD_DICTIONARY', /cannot be read/));
  });
});

test('a dictionary that holds NaN is not written', async () => {
  await withFolder(async (folder) => {
    const weights = someDictionary();
    weights.encoder[3] = Number.NaN;
    await assert.rejects(files.writeDictionary(join(folder, 'd'), weights, null), hasCode('BAD_DICTIONARY', /encoder holds NaN at element 3/));
    await assert.rejects(files.readDictionary(join(folder, 'd')), hasCode('BAD_DICTIONARY', /does not exist/));
  });
});

test('records: written whole, appended after a torn line, streamed back', async () => {
  await withFolder(async (folder) => {
    const path = join(folder, 'r.ndjson');
    const records = Array.from({ length: 5000 }, (_, i) => ({ i, text: 'é\n"'.repeat(i % 50) }));
    const { count, hash } = await files.writeRecords(path, records);
    assert.equal(count, 5000);
    assert.deepEqual(await gather(files.readRecords(path)), records);
    assert.equal((await files.writeRecords(join(folder, 'again'), records)).hash, hash);

    const log = join(folder, 'log.ndjson');
    await files.appendRecords(log, [{ a: 1 }, { a: 2 }]);
    const whole = await readFile(log);
    await truncate(log, whole.length - 3);
    assert.deepEqual(await gather(files.readRecords(log)), [{ a: 1 }]);
    await files.appendRecords(log, [{ a: 3 }]);
    assert.deepEqual(await gather(files.readRecords(log)), [{ a: 1 }, { a: 3 }]);

    await assert.rejects(gather(files.readRecords(join(folder, 'none'))), hasCode('NOT_FOUND', /does not exist/));
    assert.deepEqual(await gather(files.readRecords(join(folder, 'none'), { optional: true })), []);
    await writeFile(log, '{"a":1}\n{oops}\n{"a":2}\n');
    await assert.rejects(gather(files.readRecords(log)), hasCode('STALE_OUTPUT', /line 2/));
  });
});

test('a source of records that throws leaves the old file', async () => {
  await withFolder(async (folder) => {
    const path = join(folder, 'r.ndjson');
    await files.writeRecords(path, [1, 2]);
    const failing = function* (): Generator<number> {
      yield 3;
      throw new Error('source failed');
    };
    await assert.rejects(files.writeRecords(path, failing()), /source failed/);
    assert.deepEqual(await gather(files.readRecords(path)), [1, 2]);
    assert.deepEqual(await readdir(folder), ['r.ndjson']);
  });
});

test('tensors and their metadata come back to the bit', async () => {
  await withFolder(async (folder) => {
    const path = join(folder, 't.safetensors');
    const tensors = new Map([
      ['b', { shape: [2, 3], data: Float32Array.of(1, -0, 3e-40, 4, Infinity, 6) }],
      ['a', { shape: [0], data: new Float32Array(0) }],
      ['scalar', { shape: [], data: Float32Array.of(7) }],
    ]);
    await files.writeTensors(path, tensors, { block: '12' });
    const read = await files.readTensors(path);
    assert.deepEqual(read?.tensors, tensors);
    assert.equal(read?.metadata['block'], '12');
    assert.equal(await files.readTensors(join(folder, 'none')), null);
    await truncate(path, 40);
    await assert.rejects(files.readTensors(path), hasCode('STALE_OUTPUT', /truncated/));
  });
});
