import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { fetchModel } from '../../../src/adapters/hub/fetchModel.ts';
import { openSubjectModel } from '../../../src/adapters/ort/openSubjectModel.ts';
import { FIXTURES } from '../../lm/fixture.ts';

/** A server that answers the hub's two questions (list a tree, get a file or a range of it) from the fixture folder. */
const FILES = ['config.json', 'model.safetensors'];
const content = new Map(FILES.map((name) => [name, readFileSync(`${FIXTURES}/gpt2-plain/${name}`)]));
content.set('README.md', Buffer.from('not needed'));
let hubUrl: string;
let cache: string;
const asked: { path: string; range: string | undefined }[] = [];
let corrupt = false;

const server = createServer((request, response) => {
  const path = new URL(request.url!, 'http://hub').pathname;
  asked.push({ path, range: request.headers.range });
  if (path === '/api/models/owner/small/tree/main') {
    const files = [...content].map(([name, data]) => ({
      type: 'file', path: name, size: data.length, oid: '0',
      ...(name.endsWith('safetensors') ? { lfs: { oid: createHash('sha256').update(data).digest('hex'), size: data.length, pointerSize: 100 } } : {}),
    }));
    response.setHeader('content-type', 'application/json').end(JSON.stringify(files));
    return;
  }
  const data = content.get(path.replace('/owner/small/resolve/main/', ''));
  if (data === undefined) {
    response.writeHead(404, { 'x-error-code': 'RepoNotFound' }).end();
    return;
  }
  const sent = corrupt ? data.map((byte) => byte ^ 1) : data;
  const range = /bytes=(\d+)-(\d*)/.exec(request.headers.range ?? '');
  response.setHeader('etag', '"x"').setHeader('accept-ranges', 'bytes');
  if (range === null) {
    response.setHeader('content-length', sent.length).end(sent);
    return;
  }
  const end = range[2] === '' ? sent.length - 1 : Math.min(Number(range[2]), sent.length - 1);
  response.writeHead(206, { 'content-range': `bytes ${range[1]}-${end}/${sent.length}`, 'content-length': end + 1 - Number(range[1]) });
  response.end(sent.subarray(Number(range[1]), end + 1));
});

before(async () => {
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  hubUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(() => {
  server.closeAllConnections();
  server.close();
  rmSync(cache, { recursive: true, force: true });
});
beforeEach(() => {
  if (cache !== undefined) rmSync(cache, { recursive: true, force: true });
  cache = mkdtempSync(join(tmpdir(), 'hub-test-'));
  asked.length = 0;
  corrupt = false;
});

test('fetches what a model needs, opens, and a second time asks nobody', async () => {
  const folder = await fetchModel('owner/small', cache, 'main', { hubUrl });
  assert.deepEqual(readdirSync(folder).sort(), ['config.json', 'fetched.json', 'model.safetensors']);
  for (const name of FILES) assert.deepEqual(readFileSync(join(folder, name)), content.get(name));
  const model = await openSubjectModel(folder, { device: 'cpu', workers: 1 });
  assert.equal(model.info.layers, 2);
  await model.close();
  asked.length = 0;
  assert.equal(await fetchModel('owner/small', cache, 'main', { hubUrl }), folder);
  assert.deepEqual(asked, []);
});

test('goes on where a fetch was cut off', async () => {
  const folder = join(cache, 'owner--small', 'main');
  const weights = content.get('model.safetensors')!;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'model.safetensors.partial'), weights.subarray(0, 1000));
  await fetchModel('owner/small', cache, 'main', { hubUrl });
  assert.deepEqual(readFileSync(join(folder, 'model.safetensors')), weights);
  const ranges = asked.filter(({ path, range }) => path.endsWith('model.safetensors') && range !== undefined && range !== 'bytes=0-0').map(({ range }) => range);
  assert.deepEqual(ranges, [`bytes=1000-${weights.length - 1}`]);
});

test('weights that are not what the hub states are not kept', async () => {
  corrupt = true;
  await assert.rejects(fetchModel('owner/small', cache, 'main', { hubUrl }), { name: 'OutsideError', message: /sha-256/ });
  assert.deepEqual(readdirSync(join(cache, 'owner--small', 'main')), ['config.json']);
});

test('no such model, no network, no id: named errors that say what to do', async () => {
  await assert.rejects(fetchModel('owner/none', cache, 'main', { hubUrl }), { code: 'NOT_FOUND', message: /no model owner\/none.*HF_TOKEN/ });
  const nobody = { hubUrl: 'http://127.0.0.1:9' };
  await assert.rejects(fetchModel('owner/small', cache, 'main', nobody), { name: 'OutsideError', message: /cannot fetch owner\/small.*model folder instead/ });
  for (const id of ['../x', 'a/b/c', '', '/a']) await assert.rejects(fetchModel(id, cache), { code: 'BAD_INPUT' });
  await assert.rejects(fetchModel('a/b', cache, '../..'), { code: 'BAD_INPUT' });
});

test('a model without safetensors is not supported', async () => {
  const weights = content.get('model.safetensors')!;
  content.delete('model.safetensors');
  try {
    await assert.rejects(fetchModel('owner/small', cache, 'main', { hubUrl }), { code: 'UNSUPPORTED', message: /model\.safetensors or its shards/ });
  } finally {
    content.set('model.safetensors', weights);
  }
});
