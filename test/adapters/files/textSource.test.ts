import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { readTextFile } from '../../../src/adapters/files/textSource.ts';
import { gather } from '../../helpers/gather.ts';
import { withFolder } from '../../helpers/withFolder.ts';

const documents = (path: string): Promise<string[]> => gather(readTextFile(path));
const fails = (code: string, pattern: RegExp) => (error: unknown) => (error as { code?: string }).code === code && pattern.test(String(error));

test('a text file is one document, a JSONL file one a line', async () => {
  await withFolder(async (folder) => {
    const text = join(folder, 'a.txt');
    await writeFile(text, 'One — é\n\nTwo 🎁\n');
    assert.deepEqual(await documents(text), ['One — é\n\nTwo 🎁\n']);
    const lines = join(folder, 'a.jsonl');
    await writeFile(lines, '{"text":"one\\n"}\r\n\n{"id":1,"text":"zwei é"}');
    assert.deepEqual(await documents(lines), ['one\n', 'zwei é']);
  });
});

test('a long text is cut at blank lines into documents that join to the whole', async () => {
  await withFolder(async (folder) => {
    const path = join(folder, 'long.txt');
    const paragraphs = Array.from({ length: 9000 }, (_, i) => `Paragraph ${i} ${'wörd 🎁 '.repeat(i % 90)}`).join('\n\n');
    await writeFile(path, paragraphs);
    const found = await documents(path);
    assert.ok(found.length > 3);
    assert.equal(found.join(''), paragraphs);
    for (const document of found.slice(0, -1)) {
      assert.ok(document.length <= 1 << 20);
      assert.ok(document.endsWith('\n\n'));
    }
    const unbroken = '🎁'.repeat(1_200_000);
    await writeFile(path, `x${unbroken}`);
    const pieces = await documents(path);
    assert.equal(pieces.join(''), `x${unbroken}`);
    for (const piece of pieces) assert.ok(piece.isWellFormed());
  });
});

test('bad files are the caller’s mistake, with what was found', async () => {
  await withFolder(async (folder) => {
    const path = join(folder, 'a.txt');
    await assert.rejects(documents(path), fails('NOT_FOUND', /a\.txt/));
    await writeFile(path, ' \n');
    await assert.rejects(documents(path), fails('BAD_INPUT', /no text/));
    await writeFile(path, Buffer.of(0x61, 0xff, 0x62));
    await assert.rejects(documents(path), fails('BAD_INPUT', /not UTF-8/));
    await writeFile(path, Buffer.of(0x61, 0xc3));
    await assert.rejects(documents(path), fails('BAD_INPUT', /not UTF-8/));
    const lines = join(folder, 'a.jsonl');
    await writeFile(lines, '{"text":"a"}\n{"body":"b"}\n');
    await assert.rejects(documents(lines), fails('BAD_INPUT', /line 2.*"text"/));
    await writeFile(lines, 'plain\n');
    await assert.rejects(documents(lines), fails('BAD_INPUT', /line 1.*JSON/));
    await mkdir(join(folder, 'd'));
    await assert.rejects(documents(join(folder, 'd')), fails('BAD_INPUT', /folder/));
  });
});
