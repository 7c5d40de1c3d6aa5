import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { OWNER, type Scope } from '../../src/domain/viewer.ts';
import { persistedDocuments } from '../../src/graphql/persisted.ts';
import { bound, readSafelist } from '../../src/graphql/safelist.ts';
import { at, type Json } from '../helpers/graphqlClient.ts';
import { withServer } from './withServer.ts';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const byHash = (hash: string): Json => ({ persistedQuery: { version: 1, sha256Hash: hash } });

async function post(url: string, body: Json, headers: Record<string, string> = {}): Promise<{ status: number; body: Json }> {
  const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) });
  return { status: response.status, body: (await response.json()) as Json };
}

test('automatic persisted queries: unknown, registered, then by hash alone, also by GET', async () => {
  await withServer({ seed: { features: 10, layers: 1 } }, async ({ url }) => {
    const query = 'query Version { server { version } }';
    const extensions = byHash(sha256(query));
    const unknown = await post(url, { extensions });
    assert.equal(at(unknown.body, 'errors.0.extensions.code'), 'PERSISTED_QUERY_NOT_FOUND');
    const wrong = await post(url, { query: '{ server { healthy } }', extensions });
    assert.deepEqual([wrong.status, at(wrong.body, 'errors.0.extensions.code')], [400, 'BAD_REQUEST']);
    assert.equal(at((await post(url, { query, extensions })).body, 'data.server.version'), '0.0.0-test');
    assert.equal(at((await post(url, { extensions })).body, 'data.server.version'), '0.0.0-test');
    const get = await fetch(`${url}?extensions=${encodeURIComponent(JSON.stringify(extensions))}`);
    assert.equal(at((await get.json()) as Json, 'data.server.version'), '0.0.0-test');
    for (const odd of [{ version: 2, sha256Hash: 'x' }, { version: 1, sha256Hash: { a: 1 } }, { version: 1 }, 'x'] as Json[]) {
      const answer = await post(url, { extensions: { persistedQuery: odd } });
      assert.ok(answer.status < 500, JSON.stringify(odd));
    }
  });
});

test('what clients register is bounded: the longest unused goes first', async () => {
  const cache = persistedDocuments(undefined, 10);
  await cache.set('a', 'aaaa');
  await cache.set('b', 'bbbb');
  assert.equal(await cache.get('a'), 'aaaa');
  await cache.set('c', 'cccc');
  assert.deepEqual(await Promise.all(['a', 'b', 'c'].map((key) => cache.get(key))), ['aaaa', undefined, 'cccc']);
  await cache.set('d', 'd'.repeat(11));
  assert.deepEqual(await Promise.all(['a', 'c', 'd'].map((key) => cache.get(key))), [undefined, undefined, undefined]);
});

const LIST = `
  query Models { models(first: 2) { ...C } }
  query Server { server { version } }
  fragment C on ModelConnection { nodes { name } }
`;

test('with a safelist nothing else runs, however it is sent', async () => {
  const safelist = readSafelist(LIST, 'list');
  assert.deepEqual([...safelist.names].sort(), ['Models', 'Server']);
  await withServer({ seed: { features: 10, layers: 1 }, server: { safelist } }, async ({ url, send, base }) => {
    // As written elsewhere: another layout, the fragment first, comments.
    const same = await send('fragment C on ModelConnection { nodes{name} } # x\nquery Models { models(first:2) { ...C } }');
    assert.equal(at(same.data, 'models.nodes.0.name'), 'toy');
    for (const query of [
      '{ server { version } }',
      'query Server { server { version healthy } }',
      'query Models { models(first: 3) { ...C } } fragment C on ModelConnection { nodes { name } }',
      'query Models { models(first: 2) { ...C } } fragment C on ModelConnection { nodes { name id } }',
      '{ __schema { types { name } } }',
    ]) {
      const { status, errors } = await send(query);
      assert.deepEqual([status, errors[0]!.extensions['code']], [403, 'OPERATION_NOT_ALLOWED'], query);
    }
    // Of two operations in one document the one that runs is looked at.
    const two = { query: 'query Server { server { version } } query Other { server { healthy } }' };
    assert.equal((await post(url, { ...two, operationName: 'Other' })).status, 403);
    assert.equal((await post(url, { ...two, operationName: 'Server' })).status, 200);
    // Registering adds nothing.
    const query = 'query Mine { server { healthy } }';
    assert.equal((await post(url, { query, extensions: byHash(sha256(query)) })).status, 403);
    assert.equal(at((await post(url, { extensions: byHash(sha256(query)) })).body, 'errors.0.extensions.code'), 'PERSISTED_QUERY_NOT_FOUND');
    assert.equal((await fetch(`${base}/health`)).status, 200);
    const stream = await fetch(`${url}/stream`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
      body: JSON.stringify({ query: 'subscription { patches(input: { patches: [] }) { __typename } }' }),
    });
    assert.equal(stream.status, 403);
  });
});

test('a safelist binds everybody but the keys of administrators', () => {
  const scopes = (...of: Scope[]): ReadonlySet<Scope> => new Set(of);
  assert.equal(bound(OWNER), true);
  assert.equal(bound({ keyId: 'k', name: 'k', scopes: scopes('read', 'patch'), models: 'all' }), true);
  assert.equal(bound({ keyId: 'k', name: 'k', scopes: scopes('admin'), models: 'all' }), false);
});

test('a safelist by hash: documents are asked for by it; a wrong hash is refused at start', async () => {
  const source = 'query Server { server { version } }';
  const safelist = readSafelist(JSON.stringify({ [sha256(source)]: source }), 'list');
  await withServer({ seed: { features: 10, layers: 1 }, server: { safelist } }, async ({ url }) => {
    assert.equal(at((await post(url, { extensions: byHash(sha256(source)) })).body, 'data.server.version'), '0.0.0-test');
  });
  for (const [text, message] of [[JSON.stringify({ abc: source }), /is not the SHA-256/], ['query {', /cannot be read as GraphQL/], ['{}', /holds no operation/], ['{"a":', /no JSON/], ['{"a": 5}', /as text/], ['fragment F on Query { server { version } }', /holds no operation/]] as const) {
    assert.throws(() => readSafelist(text, 'list'), { code: 'BAD_CONFIG', message });
  }
});
