import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { openZip, type ZipLimits } from '../../../src/adapters/formats/zip.ts';
import { storedZip } from '../../../src/adapters/formats/zipWrite.ts';
import { withFolder } from '../../helpers/withFolder.ts';
import { zipOf } from './zipBytes.ts';

const bytes = (text: string): Buffer => Buffer.from(text);
const bad = (message: RegExp): object => ({ code: 'BAD_DICTIONARY', message });

/** All files of an archive, read. */
async function contents(archive: Buffer, limits?: ZipLimits): Promise<Record<string, string>> {
  return await withFolder(async (folder) => {
    await writeFile(join(folder, 'a.zip'), archive);
    const zip = await openZip(join(folder, 'a.zip'), limits);
    try {
      const found: Record<string, string> = {};
      for (const name of zip.names) found[name] = (await zip.read(name)).toString();
      return found;
    } finally {
      await zip.close();
    }
  });
}

test('stored and packed files are read, folders are not files, empty files are', async () => {
  const archive = zipOf([{ name: 'a/', bytes: bytes('') }, { name: 'a/x', bytes: bytes('one') }, { name: 'y', bytes: bytes('two'.repeat(1000)), packed: true }, { name: 'z', bytes: bytes(''), packed: true }, { name: 'w', bytes: bytes('') }]);
  assert.deepEqual(await contents(archive), { 'a/x': 'one', y: 'two'.repeat(1000), z: '', w: '' });
});

test('our own archives are read, and hold their files at multiples of 64 bytes', async () => {
  const archive = Buffer.concat(storedZip(new Map([['a/data', bytes('one')], ['a/ü', bytes('two')]])));
  assert.deepEqual(await contents(archive), { 'a/data': 'one', 'a/ü': 'two' });
  for (const text of ['one', 'two']) assert.equal(archive.indexOf(text) % 64, 0);
});

test('a zip bomb is refused before anything is unpacked', async () => {
  const zeros = Buffer.alloc(60 << 20);
  const bomb = zipOf([{ name: 'bomb', bytes: zeros, packed: true }]);
  assert.ok(bomb.length < 100_000);
  await assert.rejects(contents(bomb), bad(/zip bomb, so nothing was unpacked/));
  const many = zipOf(Array.from({ length: 60 }, (_, i) => ({ name: `bomb${i}`, bytes: zeros.subarray(0, 1 << 20), packed: true })));
  await assert.rejects(contents(many), bad(/zip bomb/));
  await assert.rejects(contents(zipOf([{ name: 'a', bytes: bytes('too much') }]), { maxBytes: 7 }), bad(/more than 7 bytes/));
});

test('a bomb that announces little stops at what it announces', async () => {
  const archive = zipOf([{ name: 'bomb', bytes: Buffer.alloc(60 << 20), packed: true, announced: 1000 }]);
  await assert.rejects(contents(archive), bad(/does not unpack to the 1000 bytes its directory announces/));
  await assert.rejects(contents(zipOf([{ name: 'short', bytes: bytes('abc'), packed: true, announced: 5 }])), bad(/unpacks to 3 bytes, its directory announces 5/));
  await assert.rejects(contents(zipOf([{ name: 'stored', bytes: bytes('abc'), announced: 5 }])), bad(/size mismatch/));
});

test('names that leave the folder, names that come twice, secrets and unknown methods are refused', async () => {
  for (const name of ['../x', 'a/../../x', '/etc/x', 'C:\\x', 'a\\..\\x', 'C:/x']) await assert.rejects(contents(zipOf([{ name, bytes: bytes('x') }])), bad(/cannot be read as a zip archive: .*(path|characters)/), name);
  await assert.rejects(contents(zipOf([{ name: 'x', bytes: bytes('1') }, { name: 'x', bytes: bytes('2') }])), bad(/holds x twice/));
  await assert.rejects(contents(zipOf([{ name: 'x', bytes: bytes('1'), flags: 1, announced: 1 }])), bad(/(x is encrypted|size mismatch)/));
  await assert.rejects(contents(zipOf([{ name: 'x', bytes: bytes('12345'), flags: 1, packed: true }])), bad(/x is encrypted; write the archive without a password/));
  await assert.rejects(contents(zipOf([{ name: 'x', bytes: bytes('1'), method: 12 }])), bad(/packed by method 12/));
});

test('changed bytes, cut files, other files and too many entries are refused', async () => {
  await assert.rejects(contents(zipOf([{ name: 'x', bytes: bytes('1'), crc: 5 }])), bad(/checksum/));
  const whole = zipOf([{ name: 'x', bytes: bytes('one') }, { name: 'y', bytes: bytes('two'), packed: true }]);
  for (let length = 0; length < whole.length; length += 7) await assert.rejects(contents(whole.subarray(0, length)), bad(/truncated|fetch it again/), `first ${length} bytes`);
  await assert.rejects(contents(bytes('this is no zip archive, but it is long enough to be looked at')), bad(/cannot be read as a zip archive/));
  await assert.rejects(contents(zipOf([{ name: 'x', bytes: bytes('1') }], { entries: 3 })), bad(/cannot be read as a zip archive/));
  await assert.rejects(contents(whole, { maxEntries: 1 }), bad(/announces 2 files; expected at most 1/));
});

test('64-bit directories are read, and offsets no file can have are errors like others', async () => {
  const pieces = [{ name: 'x', bytes: bytes('one') }];
  const offset = 31n + 3n;
  assert.deepEqual(await contents(zipOf(pieces, { zip64: { count: 1n, offset } })), { x: 'one' });
  for (const zip64 of [{ count: 1n, offset: 2n ** 63n }, { count: 1n, offset: 2n ** 40n }, { count: 2n ** 60n, offset }, { count: 1n, offset, at: 2n ** 64n - 1n }]) {
    await assert.rejects(contents(zipOf(pieces, { zip64 })), { code: 'BAD_DICTIONARY' });
  }
});

test('a missing file and a missing entry are named', async () => {
  await withFolder(async (folder) => {
    await assert.rejects(openZip(join(folder, 'none.zip')), bad(/none.zip: does not exist/));
    await assert.rejects(openZip(folder), { code: 'BAD_DICTIONARY' });
    await writeFile(join(folder, 'a.zip'), zipOf([{ name: 'x', bytes: bytes('1') }]));
    const zip = await openZip(join(folder, 'a.zip'));
    await assert.rejects(zip.read('y'), bad(/has no y; it has x/));
    await zip.close();
  });
});
