import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { writeModelFile } from '../../../src/adapters/files/modelFile.ts';
import { openWeightFiles, readTensor } from '../../../src/adapters/ort/weightFiles.ts';
import { withFolder } from '../../helpers/withFolder.ts';

test('tensors in pieces come back in each type, rounded to nearest, ties to even', async () => {
  await withFolder(async (folder) => {
    // 1 + 2^-8 lies between the bfloat16 numbers 1 and 1 + 2^-7, 1 + 3·2^-8 between 1 + 2^-7 and 1 + 2^-6.
    const values = Float32Array.of(1, -2.5, 1 + 2 ** -8, 1 + 3 * 2 ** -8, -(1 + 2 ** -8 + 2 ** -20), 0);
    const tensor = (dtype: 'F32' | 'F16' | 'BF16') => ({ name: dtype, dtype, dims: [2, 3], values: () => [values.subarray(0, 4), values.subarray(4)] });
    await writeModelFile(join(folder, 'model.safetensors'), [tensor('BF16'), tensor('F32'), tensor('F16')], { made: 'test' });
    const { tensors } = await openWeightFiles(folder);
    const read = async (name: string): Promise<Float32Array> => {
      assert.deepEqual(tensors.get(name)!.dims, [2, 3]);
      const out = new Float32Array(6);
      await readTensor(tensors.get(name)!, out);
      return out;
    };
    assert.deepEqual(await read('F32'), values);
    assert.deepEqual(await read('F16'), Float32Array.from(values, Math.f16round));
    assert.deepEqual(await read('BF16'), Float32Array.of(1, -2.5, 1, 1 + 2 ** -6, -(1 + 2 ** -7), 0));
  });
});

test('a tensor that gives too few numbers leaves no file', async () => {
  await withFolder(async (folder) => {
    const short = { name: 'a', dtype: 'F32' as const, dims: [4], values: () => [new Float32Array(3)] };
    await assert.rejects(writeModelFile(join(folder, 'model.safetensors'), [short], {}), /1 numbers short/);
    assert.deepEqual(await readdir(folder), []);
  });
});
