import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { canonicalJson, openRunStore } from '../../../src/adapters/files/runStore.ts';
import { withFolder } from '../../helpers/withFolder.ts';

const identity = { stage: 'train', params: { l1: 1e-3, layers: [0, 1] }, inputs: { model: 'aa', tokens: 'bb' }, seed: 7 };
const busy = (error: unknown): boolean => (error as { code?: string }).code === 'BUSY';

test('a run is found once finished, by equal identity only', async () => {
  await withFolder(async (home) => {
    const store = openRunStore(home, { codeVersion: '1.2.3' });
    assert.equal(await store.find(identity), null);
    const run = await store.open(identity);
    assert.match(run.dir, /runs.train-[0-9a-f]{16}\.partial$/);
    assert.equal(await store.find(identity), null);
    await writeFile(join(run.dir, 'out'), 'x');
    const finished = await run.finish({ tokens: 5 });
    const reordered = { seed: 7, inputs: { tokens: 'bb', model: 'aa' }, params: { layers: [0, 1], l1: 0.001 }, stage: 'train' };
    const found = await store.find(reordered);
    assert.deepEqual(found, finished);
    assert.equal(found?.run.key, run.key);
    assert.equal(found?.run.codeVersion, '1.2.3');
    assert.deepEqual(found?.run.metrics, { tokens: 5 });
    assert.equal(await readFile(join(finished.dir, 'out'), 'utf8'), 'x');
    assert.deepEqual((await readdir(finished.dir)).sort(), ['begun.json', 'manifest.json', 'out']);
    assert.equal(await store.find({ ...identity, seed: 8 }), null);
    assert.equal(await store.find({ ...identity, params: { l1: 2e-3, layers: [0, 1] } }), null);
    assert.equal(await openRunStore(home, { formatVersions: { train: 2 } }).find(identity), null, 'another format version is another run');
  });
});

test('one holder at a time; a released run keeps its folder and its start', async () => {
  await withFolder(async (home) => {
    const store = openRunStore(home);
    const first = await store.open(identity);
    await writeFile(join(first.dir, 'progress'), '3');
    await mkdir(join(first.dir, 'inner'));
    await writeFile(join(first.dir, 'inner', 'half.1-0.tmp'), 'half written');
    await assert.rejects(store.open(identity), busy);
    await (await store.open({ ...identity, seed: 8 })).release();
    const begun = await readFile(join(first.dir, 'begun.json'), 'utf8');
    await first.release();
    await first.release();
    const second = await store.open(identity);
    assert.equal(await readFile(join(second.dir, 'progress'), 'utf8'), '3');
    assert.deepEqual(await readdir(join(second.dir, 'inner')), [], 'what was half written is gone');
    const { run } = await second.finish({});
    assert.equal(run.startedAt, (JSON.parse(begun) as { startedAt: string }).startedAt);
  });
});

test('of many openers at once exactly one wins, also over dead locks', async () => {
  await withFolder(async (home) => {
    const store = openRunStore(home);
    const dead = JSON.stringify({ pid: 2 ** 22 + 1, started: '1', host: hostname(), since: 'then' });
    const reused = JSON.stringify({ pid: process.pid, started: '1', host: hostname(), since: 'then' });
    for (const locks of [[], [dead], [dead, reused], [dead, reused, '{"pid":']]) {
      const probe = await store.open(identity);
      await probe.release();
      for (const [i, text] of locks.entries()) await writeFile(join(probe.dir, `lock.${i + 1}`), text);
      for (let round = 0; round < 10; round++) {
        const results = await Promise.allSettled(Array.from({ length: 8 }, () => store.open(identity)));
        const won = results.filter((result) => result.status === 'fulfilled');
        assert.equal(won.length, 1, `locks ${locks.join(' ')}`);
        for (const result of results) if (result.status === 'rejected') assert.ok(busy(result.reason), String(result.reason));
        await won[0]!.value.release();
      }
    }
    const elsewhere = JSON.stringify({ pid: 1, started: '1', host: 'another-host', since: 'then' });
    const probe = await store.open(identity);
    await probe.release();
    await writeFile(join(probe.dir, 'lock.9'), elsewhere);
    await assert.rejects(store.open(identity), busy);
  });
});

test('a killed process keeps others out while it lives and leaves a run that can be resumed', async () => {
  await withFolder(async (home) => {
    const script = `
      import { openRunStore } from ${JSON.stringify(new URL('../../../src/adapters/files/runStore.ts', import.meta.url).href)};
      const run = await openRunStore(${JSON.stringify(home)}).open(${JSON.stringify(identity)});
      console.log(run.dir);
      setInterval(() => undefined, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    const exited = once(child, 'exit');
    await once(child.stdout, 'data');
    const store = openRunStore(home);
    await assert.rejects(store.open(identity), busy);
    child.kill('SIGKILL');
    await exited;
    const run = await store.open(identity);
    await run.finish({});
    assert.notEqual(await store.find(identity), null);
  });
});

test('a damaged manifest is an error that says what to delete', async () => {
  await withFolder(async (home) => {
    const store = openRunStore(home);
    const { dir } = await (await store.open(identity)).finish({});
    await writeFile(join(dir, 'manifest.json'), '{');
    await assert.rejects(store.find(identity), (error: unknown) => (error as { code?: string }).code === 'STALE_OUTPUT' && String(error).includes(dir));
  });
});

test('canonical JSON ignores key order and absent members, and refuses NaN', () => {
  assert.equal(canonicalJson({ b: [1, { d: null, c: 'x' }], a: undefined }), '{"b":[1,{"c":"x","d":null}]}');
  assert.throws(() => canonicalJson({ a: Number.NaN }), /NaN/);
});
