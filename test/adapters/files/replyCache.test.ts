import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { appendFile, open, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { openReplyCache } from '../../../src/adapters/files/replyCache.ts';
import { OutsideError } from '../../../src/domain/errors.ts';
import { Rng } from '../../../src/math/rng.ts';
import { withFolder } from '../../helpers/withFolder.ts';

const key = (i: number | string): string => createHash('sha256').update(String(i)).digest('hex');

test('answers are there for the next process, exactly', async () => {
  await withFolder(async (folder) => {
    const answers = [{ text: 'a "quoted"\nline \u2028 🙂' }, [1, 2.5, -0.1], 'text', 0, false];
    const first = await openReplyCache(join(folder, 'deep', 'cache'));
    assert.equal(await first.get(key(0)), null);
    await Promise.all(answers.map((answer, i) => first.put(key(i), answer)));
    await first.put(key(0), 'replaced');
    for (const cache of [first, await openReplyCache(join(folder, 'deep', 'cache'))]) {
      assert.equal(await cache.get(key(0)), 'replaced');
      for (const i of [1, 2, 3, 4]) assert.deepEqual(await cache.get(key(i)), answers[i]);
      assert.equal(await cache.get(key(9)), null);
      await cache.close();
    }
  });
});

test('opening and reading makes no files; each process that puts makes one', async () => {
  await withFolder(async (folder) => {
    const [a, b] = [await openReplyCache(folder), await openReplyCache(folder)];
    assert.deepEqual(await readdir(folder), []);
    await Promise.all([a.put(key('a'), 1), b.put(key('b'), 2)]);
    await a.put(key('c'), 3);
    assert.deepEqual((await readdir(folder)).sort(), ['replies-000001.jsonl', 'replies-000002.jsonl']);
    await a.close();
    await b.close();
    const after = await openReplyCache(folder);
    assert.deepEqual([await after.get(key('a')), await after.get(key('b')), await after.get(key('c'))], [1, 2, 3]);
    await after.close();
  });
});

test('a torn last line is no answer, and later answers are not written behind it', async () => {
  await withFolder(async (folder) => {
    const first = await openReplyCache(folder);
    await first.put(key(1), 'one');
    await first.close();
    const segment = join(folder, 'replies-000001.jsonl');
    const whole = await readFile(segment, 'utf8');
    await appendFile(segment, whole.replace('one', 'two').slice(0, -3));
    const second = await openReplyCache(folder);
    await second.put(key(2), 'two');
    assert.deepEqual([second.stats().damaged, second.stats().entries], [0, 2]);
    await second.close();
    const third = await openReplyCache(folder);
    assert.deepEqual([await third.get(key(1)), await third.get(key(2))], ['one', 'two']);
    await third.close();
  });
});

test('a damaged line in the middle is skipped and counted; so is one that is damaged later', async () => {
  await withFolder(async (folder) => {
    const first = await openReplyCache(folder);
    for (let i = 0; i < 5; i++) await first.put(key(i), `answer ${i}`);
    await first.close();
    const segment = join(folder, 'replies-000001.jsonl');
    const damage = async (text: string, by: string): Promise<void> => writeFile(segment, (await readFile(segment, 'utf8')).replace(text, by));
    await damage('answer 2', 'answer 7'); // still JSON, and still wrong
    const cache = await openReplyCache(folder);
    assert.deepEqual(cache.stats(), { entries: 4, segments: 1, damaged: 1 });
    assert.equal(await cache.get(key(2)), null);
    assert.equal(await cache.get(key(3)), 'answer 3');
    await damage('answer 3', 'ANSWER 3');
    assert.equal(await cache.get(key(3)), null);
    assert.equal(cache.stats().damaged, 2);
    await cache.put(key(3), 'again');
    assert.equal(await cache.get(key(3)), 'again');
    await cache.close();
  });
});

test('what cannot be written fails, and does not count as kept', async () => {
  await withFolder(async (folder) => {
    await writeFile(join(folder, 'file'), '');
    await assert.rejects(openReplyCache(join(folder, 'file')), OutsideError);
    const cache = await openReplyCache(join(folder, 'cache'));
    await writeFile(join(folder, 'cache'), ''); // a file where the folder should be made
    await assert.rejects(cache.put(key(1), 1), OutsideError);
    assert.equal(await cache.get(key(1)), null);
    await cache.close();
  });
});

test('every put that returned before a kill is there afterwards', async () => {
  await withFolder(async (folder) => {
    const rng = new Rng(5);
    let from = 0;
    let said = 0;
    for (let round = 0; round < 5; round++) {
      const stopAfter = 1 + rng.int(300);
      const child = spawn(process.execPath, [join(import.meta.dirname, 'putInChild.ts'), folder, String(from)], { stdio: ['ignore', 'pipe', 'inherit'] });
      const ended = once(child, 'close');
      let output = '';
      child.stdout.on('data', (chunk: Buffer) => {
        output += chunk.toString();
        if (output.split('\n').length > stopAfter) child.kill('SIGKILL');
      });
      await ended;
      assert.equal(child.signalCode, 'SIGKILL');
      const done = output.split('\n').slice(0, -1).map(Number);
      const cache = await openReplyCache(folder);
      for (const i of done) assert.deepEqual(await cache.get(key(i)), { i, text: 'é'.repeat(i % 3000) });
      assert.equal(cache.stats().damaged, 0);
      said += done.length;
      assert.ok(cache.stats().entries >= said);
      await cache.close();
      from = Math.max(from, ...done) + 20; // past what was under way
    }
  });
});

test('100,000 answers: memory is that of the index, not of the answers', async () => {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  const used = (): number => {
    gc();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  await withFolder(async (folder) => {
    const N = 100_000;
    const text = 'x'.repeat(600);
    const writer = await openReplyCache(folder);
    for (let at = 0; at < N; at += 5000) await Promise.all(Array.from({ length: 5000 }, (_, i) => writer.put(key(at + i), { i: at + i, text })));
    await writer.close();
    const { size } = await stat(join(folder, 'replies-000001.jsonl'));
    const before = used();
    const started = performance.now();
    const cache = await openReplyCache(folder);
    const opened = performance.now() - started;
    const bytes = used() - before;
    assert.equal(cache.stats().entries, N);
    for (const i of [0, 1, 777, N - 1]) assert.deepEqual(await cache.get(key(i)), { i, text });
    console.log(`# ${N} answers, ${(size / 1e6).toFixed(0)} MB on disk: ${(bytes / N).toFixed(0)} bytes of memory each, opened in ${opened.toFixed(0)} ms`);
    assert.ok(bytes / N < 250, `${bytes / N} bytes an answer`);
    await cache.close();
  });
});

test('an open file of a segment is closed with the cache', async () => {
  await withFolder(async (folder) => {
    const cache = await openReplyCache(folder);
    const putting = cache.put(key(1), 1);
    await cache.close(); // waits for what is under way
    await putting;
    const file = await open(join(folder, 'replies-000001.jsonl'), 'r');
    assert.ok((await file.stat()).size > 0);
    await file.close();
    assert.throws(() => cache.put(key(2), 2), /closed/);
  });
});
