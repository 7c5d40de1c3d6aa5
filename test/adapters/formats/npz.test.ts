import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { readNpy } from '../../../src/adapters/formats/npy.ts';
import { openNpz } from '../../../src/adapters/formats/npz.ts';
import { withFolder } from '../../helpers/withFolder.ts';
import { originalOf } from './originals.ts';
import { FORMATS } from './parity.ts';
import { zipOf } from './zipBytes.ts';

const FOLDER = join(FORMATS, 'npz');
const bad = (message: RegExp): object => ({ code: 'BAD_DICTIONARY', message });

test('arrays of every type, order and packing hold the numbers numpy wrote', async () => {
  const { arrays } = await originalOf<{ arrays: Record<string, { shape: number[]; values: number[] }> }>(FOLDER);
  for (const file of ['stored.npz', 'packed.npz']) {
    const npz = await openNpz(join(FOLDER, file));
    assert.deepEqual([...npz.names].sort(), Object.keys(arrays).sort());
    for (const [name, { shape, values }] of Object.entries(arrays)) {
      const { shape: found, data } = await npz.array(name);
      assert.deepEqual([...found], shape, name);
      assert.deepEqual([...data], values.map(Math.fround), name);
    }
    assert.equal((await npz.array('f2')).type, 'float16');
    await assert.rejects(npz.array('none'), bad(/has no none\.npy/));
    await npz.close();
  }
});

test('objects, which are pickles, structures and complex numbers are refused', async () => {
  const npz = await openNpz(join(FOLDER, 'refused.npz'));
  await assert.rejects(npz.array('objects'), bad(/array objects holds Python objects/));
  await assert.rejects(npz.array('structured'), bad(/structured array/));
  await assert.rejects(npz.array('complex'), bad(/type "<c8", expected one of f4/));
  await npz.close();
});

function npy(header: string, data: Uint8Array = new Uint8Array(0), version = 1): Buffer {
  const head = Buffer.alloc(version === 1 ? 10 : 12);
  head.write('\x93NUMPY', 0, 'latin1');
  head[6] = version;
  if (version === 1) head.writeUInt16LE(header.length, 8);
  else head.writeUInt32LE(header.length, 8);
  return Buffer.concat([head, Buffer.from(header), data]);
}

test('what an array announces must be what it has', () => {
  const read = (bytes: Buffer): unknown => readNpy(bytes, 'f.npz', 'x');
  const header = (shape: string, descr = '<f4'): string => `{'descr': '${descr}', 'fortran_order': False, 'shape': (${shape}), }\n`;
  assert.deepEqual(read(npy(header('2,'), new Uint8Array(8), 2)), { shape: [2], type: 'float32', data: new Float32Array(2) });
  assert.throws(() => read(npy(header('3,'), new Uint8Array(8))), bad(/has 8 bytes, expected 12/));
  assert.throws(() => read(npy(header('1,'), new Uint8Array(8))), bad(/has 8 bytes, expected 4/));
  assert.throws(() => read(npy(header('9007199254740991, 9007199254740991'), new Uint8Array(8))), bad(/expected \d/));
  assert.throws(() => read(npy(header('99999999999999999999'), new Uint8Array(8))), bad(/expected at most 8 sizes/));
  assert.throws(() => read(npy(header('1, '.repeat(9), '<f4'), new Uint8Array(4))), bad(/at most 8 sizes/));
  assert.throws(() => read(npy(header('-1,'), new Uint8Array(4))), bad(/no numpy header/));
  assert.throws(() => read(npy(header('1,', '<U4'), new Uint8Array(4))), bad(/type "<U4"/));
  assert.throws(() => read(npy(header('1,', '<constructor'), new Uint8Array(4))), bad(/type "<constructor"/));
  assert.throws(() => read(npy("{'descr': eval('1'), 'fortran_order': False, 'shape': (1,), }", new Uint8Array(4))), bad(/no numpy header/));
  assert.throws(() => read(npy(header('1,'), new Uint8Array(4), 9)), bad(/format version 9/));
  assert.throws(() => read(npy(header('1,')).subarray(0, 20)), bad(/truncated/));
  assert.throws(() => read(Buffer.from('PICKLE')), bad(/does not begin as a numpy array/));
  assert.throws(() => read(npy(`${' '.repeat(70_000)}${header('0,')}`, new Uint8Array(0), 2)), bad(/less than 65536/));
  const beyond = Buffer.alloc(8);
  beyond.writeBigInt64LE(2n ** 53n + 1n);
  assert.throws(() => read(npy(header('1,', '<i8'), beyond)), bad(/beyond what is kept exactly/));
});

test('a bomb in an npz is refused', async () => {
  await withFolder(async (folder) => {
    const path = join(folder, 'a.npz');
    await writeFile(path, zipOf([{ name: 'x.npy', bytes: Buffer.alloc(40 << 20), packed: true }]));
    await assert.rejects(openNpz(path), bad(/zip bomb/));
    await writeFile(path, '');
    await assert.rejects(openNpz(path), bad(/zip archive/));
  });
});
