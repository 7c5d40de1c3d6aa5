import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { gemmaScope } from '../../../src/adapters/formats/gemmaScope.ts';
import { sparsify } from '../../../src/adapters/formats/sparsify.ts';
import { fetchDictionary, parseHubDictionary, type HubDictionary } from '../../../src/adapters/hub/fetchDictionary.ts';
import { withFolder } from '../../helpers/withFolder.ts';

const FIXTURES = join(import.meta.dirname, '..', '..', 'fixtures', 'formats');
const RUN = join(FIXTURES, 'sparsify', 'run');
const GEMMA = 'layer_3/width_16k/average_l0_82';

/** Repositories: path to content. */
const repositories: Readonly<Record<string, ReadonlyMap<string, Buffer>>> = {
  'owner/saes': new Map([
    ...['config.json', 'layers.2/cfg.json', 'layers.2/sae.safetensors', 'layers.10/cfg.json', 'layers.10/sae.safetensors'].map((path) => [path, readFileSync(join(RUN, path))] as const),
    ['README.md', Buffer.from('not needed')],
    ['layers.2/optimizer.pt', Buffer.from('not needed')],
  ]),
  'google/gemma-scope-2b-pt-res': new Map([[`${GEMMA}/params.npz`, readFileSync(join(FIXTURES, 'gemma_scope/gemma-scope-2b-pt-res', GEMMA, 'params.npz'))]]),
};
let hubUrl: string;
const asked: string[] = [];

/** Answers the hub's two questions: the tree below a path, and a file. */
const server = createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url!, 'http://hub');
  asked.push(pathname);
  const tree = /^\/api\/models\/([^/]+\/[^/]+)\/tree\/main\/?(.*)$/.exec(pathname);
  const file = /^\/([^/]+\/[^/]+)\/resolve\/main\/(.*)$/.exec(pathname);
  const repository = repositories[decodeURIComponent((tree ?? file)?.[1] ?? '')];
  if (tree !== null && repository !== undefined) {
    const at = decodeURIComponent(tree[2]!);
    const below = [...repository].filter(([path]) => at === '' || path.startsWith(`${at}/`));
    const rest = (path: string): string => (at === '' ? path : path.slice(at.length + 1));
    const listed = below.filter(([path]) => searchParams.get('recursive') === 'true' || !rest(path).includes('/'));
    if (below.length > 0) {
      const files = listed.map(([path, data]) => ({ type: 'file', path, size: data.length, oid: '0', lfs: { oid: createHash('sha256').update(data).digest('hex'), size: data.length, pointerSize: 100 } }));
      response.setHeader('content-type', 'application/json').end(JSON.stringify(files));
      return;
    }
  }
  const data = file === null ? undefined : repository?.get(decodeURIComponent(file[2]!));
  if (data === undefined) {
    response.writeHead(404, { 'x-error-code': 'EntryNotFound' }).end();
    return;
  }
  response.setHeader('etag', '"x"').setHeader('accept-ranges', 'bytes');
  const range = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '');
  if (range === null) {
    response.setHeader('content-length', data.length).end(data);
    return;
  }
  const [from, to] = [Number(range[1]), Math.min(Number(range[2]), data.length - 1)];
  response.writeHead(206, { 'content-range': `bytes ${from}-${to}/${data.length}`, 'content-length': to + 1 - from }).end(data.subarray(from, to + 1));
});

before(async () => {
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  hubUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => void (asked.length = 0));

function hub(text: string): HubDictionary {
  const found = parseHubDictionary(text);
  assert.ok(found, text);
  return found;
}

test('ids with folder and revision', () => {
  assert.deepEqual(parseHubDictionary('a/b'), { id: 'a/b', folder: '', revision: 'main' });
  assert.deepEqual(parseHubDictionary('a/b:layers.3/x/@v1.0'), { id: 'a/b', folder: 'layers.3/x', revision: 'v1.0' });
  for (const text of ['a', '/a/b', 'a/b/c', 'a/b:../c', 'a/b:c/./d', 'a/b:c//d', 'a/b@../x', 'https://a/b', '']) assert.equal(parseHubDictionary(text), null, text);
});

test('one dictionary of a repository is fetched, with the config above it, and a second time nobody is asked', async () => {
  await withFolder(async (cache) => {
    const folder = await fetchDictionary(hub('owner/saes:layers.2'), cache, { hubUrl });
    assert.deepEqual((await readdir(folder)).sort(), ['cfg.json', 'fetched.json', 'sae.safetensors']);
    assert.deepEqual((await readdir(join(folder, '..'))).sort(), ['config.json', 'layers.2']);
    assert.deepEqual(await readFile(join(folder, 'sae.safetensors')), await readFile(join(RUN, 'layers.2', 'sae.safetensors')));
    const [found] = await sparsify.read(folder);
    assert.deepEqual([found!.hook.point, found!.model], ['resid_post.2', 'EleutherAI/pythia-70m']);
    asked.length = 0;
    assert.equal(await fetchDictionary(hub('owner/saes:layers.2'), cache, { hubUrl }), folder);
    assert.deepEqual(asked, []);
  });
});

test('the repository\'s name is kept where a format reads it from the path', async () => {
  await withFolder(async (cache) => {
    const folder = await fetchDictionary(hub(`google/gemma-scope-2b-pt-res:${GEMMA}`), cache, { hubUrl });
    const [found] = await gemmaScope.read(folder);
    assert.deepEqual([found!.hook.point, found!.model], ['resid_post.3', 'gemma-2-2b']);
  });
});

test('no such repository or folder, no dictionary in it, no network: named errors that say what to do', async () => {
  await withFolder(async (cache) => {
    await assert.rejects(fetchDictionary(hub('owner/none'), cache, { hubUrl }), { code: 'NOT_FOUND', message: /no owner\/none at revision main.*HF_TOKEN/ });
    await assert.rejects(fetchDictionary(hub('owner/saes:layers.3'), cache, { hubUrl }), { code: 'NOT_FOUND', message: /no folder layers\.3 in owner\/saes/ });
    await assert.rejects(fetchDictionary(hub('owner/saes'), cache, { hubUrl }), { code: 'UNSUPPORTED', message: /these folders do: layers\.2, layers\.10\. Name one as owner\/saes:layers\.2/ });
    await assert.rejects(fetchDictionary(hub('owner/saes'), cache, { hubUrl: 'http://127.0.0.1:9' }), { name: 'OutsideError', message: /cannot fetch owner\/saes.*path of a folder instead/ });
  });
});
