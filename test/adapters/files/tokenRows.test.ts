import assert from 'node:assert/strict';
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { openTokenRows, writeTokenRows } from '../../../src/adapters/files/tokenRows.ts';
import { Rng } from '../../../src/math/rng.ts';
import { withFolder } from '../../helpers/withFolder.ts';

const hasCode = (code: string) => (error: unknown) => (error as { code?: string }).code === code;

for (const vocabSize of [65536, 65537]) {
  test(`rows of a vocabulary of ${vocabSize} come back by index in any order`, async () => {
    await withFolder(async (folder) => {
      const rng = new Rng(3);
      const cols = 6;
      const all = Int32Array.from({ length: 100 * cols }, () => rng.int(vocabSize));
      all[11] = vocabSize - 1;
      const path = join(folder, 'tokens');
      const chunks = [all.slice(0, 7 * cols), all.slice(7 * cols, 7 * cols), all.slice(7 * cols)];
      const { rows, hash } = await writeTokenRows(path, { cols, tokenizerHash: 'tt', vocabSize }, chunks);
      assert.equal(rows, 100);
      assert.equal((await writeTokenRows(join(folder, 'whole'), { cols, tokenizerHash: 'tt', vocabSize }, [all])).hash, hash, 'the hash ignores chunking');
      const file = await openTokenRows(path);
      assert.deepEqual([file.rows, file.cols, file.hash, file.tokenizerHash], [100, 6, hash, 'tt']);
      assert.deepEqual(await file.read(Array.from({ length: 100 }, (_, i) => i)), all);
      const order = rng.permutation(100);
      const read = await file.read(order);
      for (let i = 0; i < 100; i++) assert.deepEqual(read.subarray(i * cols, (i + 1) * cols), all.subarray(order[i]! * cols, (order[i]! + 1) * cols));
      assert.equal((await file.read([])).length, 0);
      await assert.rejects(file.read([100]), /row 100 of 100/);
      await file.close();
    });
  });
}

test('damaged token files are named errors', async () => {
  await withFolder(async (folder) => {
    const path = join(folder, 'tokens');
    await assert.rejects(openTokenRows(path), hasCode('NOT_FOUND'));
    await writeTokenRows(path, { cols: 2, tokenizerHash: 'tt', vocabSize: 100 }, [Int32Array.of(1, 2, 3, 4)]);
    const header = await readFile(`${path}.json`, 'utf8');
    await writeFile(`${path}.json`, header.replace('"formatVersion": 1', '"formatVersion": 9'));
    await assert.rejects(openTokenRows(path), /formatVersion 1, found 9/);
    await writeFile(`${path}.json`, header.replace('"rows": 2', '"rows": -2'));
    await assert.rejects(openTokenRows(path), hasCode('BAD_INPUT'));
    await writeFile(`${path}.json`, '');
    await assert.rejects(openTokenRows(path), hasCode('BAD_INPUT'));
    await writeFile(`${path}.json`, header);
    await writeFile(path, Buffer.of(1, 0, 2, 0, 3, 0, 200, 0));
    const file = await openTokenRows(path);
    await assert.rejects(file.read([1]), /id 200, its header says at most 4/);
    await file.close();
    await truncate(path, 6);
    await assert.rejects(openTokenRows(path), /6 bytes, expected 8/);
  });
});

test('ids outside the vocabulary and torn rows are not written', async () => {
  await withFolder(async (folder) => {
    const shape = { cols: 2, tokenizerHash: 'tt', vocabSize: 10 };
    await assert.rejects(writeTokenRows(join(folder, 'a'), shape, [Int32Array.of(1, 10)]), /token id 10/);
    await assert.rejects(writeTokenRows(join(folder, 'a'), shape, [Int32Array.of(1)]), /no whole rows/);
    await assert.rejects(openTokenRows(join(folder, 'a')), hasCode('NOT_FOUND'));
  });
});
