import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { request } from 'node:http';
import { test } from 'node:test';
import { prometheusMeters } from '../../src/adapters/telemetry/prometheusMeters.ts';
import { createKey } from '../../src/catalog/access.ts';
import { at, type Json } from '../helpers/graphqlClient.ts';
import { subscribe } from './subscribe.ts';
import { withServer, type TestServer } from './withServer.ts';

const OPEN = { reads: 'open', loopback: true } as const;
const CLOSED = { reads: 'closed', loopback: true } as const;
const SEED = { features: 12, layers: 1 } as const;
const VERSION = '{ server { version } }';
const MODELS = '{ models { nodes { name } } }';

async function keyOf({ catalog }: TestServer, name: string, scopes: string[], quota: number | null = null) {
  const { id, token } = await createKey(catalog.keys, { name, scopes, models: [], quota });
  return { id, token, headers: { authorization: `Bearer ${token}` } };
}

async function post(url: string, body: Json, headers: Record<string, string>): Promise<{ status: number; body: Json }> {
  const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) });
  return { status: response.status, body: (await response.json()) as Json };
}

const spent = async ({ catalog }: TestServer, id: string): Promise<number> => (await catalog.keys.list()).find((key) => key.id === id)!.usedToday;

test('a key is what the header Authorization says, and nothing else', async () => {
  await withServer({ seed: SEED, access: CLOSED }, async (server) => {
    assert.equal((await server.send(VERSION)).status, 401, 'closed is closed, before there is a key too');
    const { token } = await keyOf(server, 'mine', ['read']);
    const q = encodeURIComponent(VERSION);
    for (const search of [`key=${token}`, `api_key=${token}`, `token=${token}`, `access_token=${token}`, `authorization=${encodeURIComponent(`Bearer ${token}`)}`]) {
      assert.equal((await fetch(`${server.url}?query=${q}&${search}`)).status, 401, search);
    }
    for (const headers of [{ 'x-api-key': token }, { cookie: `authorization=Bearer ${token}; key=${token}` }, { 'proxy-authorization': `Bearer ${token}` }, { 'x-authorization': `Bearer ${token}` }, { authorization: token }, { authorization: `Basic ${Buffer.from(`mine:${token}`).toString('base64')}` }, { authorization: `Bearer ${token} ${token}` }, { authorization: `Bearer ${token}, Bearer ${token}` }] as Record<string, string>[]) {
      const { status, body } = await post(server.url, { query: VERSION, extensions: { authorization: `Bearer ${token}` }, variables: { authorization: `Bearer ${token}` } }, headers);
      assert.equal(status, 401, JSON.stringify(headers).replaceAll(token, '…'));
      assert.ok(!JSON.stringify(body).includes(token), 'the key is not repeated');
    }
    assert.equal((await server.send(VERSION, {}, { authorization: `bearer  ${token}` })).status, 200);
    // Of a header that comes twice the first counts, wherever it stands.
    const twice = await new Promise<number>((resolve, reject) => {
      const sent = request(`${server.url}?query=${q}`, { headers: ['Authorization', `Bearer ${token.slice(0, -2)}xx`, 'Authorization', `Bearer ${token}`, 'Host', new URL(server.url).host] }, (response) => resolve(response.resume().statusCode!));
      sent.on('error', reject).end();
    });
    assert.equal(twice, 401);
    assert.ok(!JSON.stringify(server.log).includes(token.slice(-20)), 'nor logged');
  });
});

test('what names no operation, comes by GET, in a batch or by hash costs and may as much as any other', async () => {
  await withServer({ seed: SEED, access: OPEN }, async (server) => {
    const { url, send } = server;
    const writer = await keyOf(server, 'writer', ['read', 'annotate']);
    const make = (name: string): string => `mutation M { featureListCreate(input: { name: "${name}" }) { list { id } } }`;
    const none = await send('{ featureLists(mine: true) { nodes { name } } }', {}, writer.headers);
    const before = await spent(server, writer.id);
    for (const operationName of ['', 'Nope', 'm', '__proto__', 'constructor']) {
      const { status, body } = await post(url, { query: make('named'), operationName }, writer.headers);
      assert.deepEqual([status, at(body, 'errors.0.extensions.code')], [400, 'OPERATION_RESOLUTION_FAILURE'], JSON.stringify(operationName));
      const got = await fetch(`${url}?query=${encodeURIComponent(make('got'))}&operationName=${operationName}`, { headers: writer.headers });
      assert.ok(got.status === 400 || got.status === 405, `GET ${operationName}: ${got.status}`);
    }
    assert.equal((await post(url, { query: `${make('two')} query Q ${VERSION}` }, writer.headers)).status, 400);
    for (const search of [`query=${encodeURIComponent(make('got'))}`, `query=${encodeURIComponent(`${make('got')} query Q ${VERSION}`)}&operationName=M`]) {
      assert.equal((await fetch(`${url}?${search}`, { headers: writer.headers })).status, 405);
    }
    assert.equal((await post(url, [{ query: make('batch') }, { query: make('batch2') }], writer.headers)).status, 400);
    assert.equal((await post(url, { query: make('x') }, { ...writer.headers, 'content-type': 'text/plain' })).status, 400, 'as a form of another site could');
    assert.equal((await subscribe(url, make('streamed'), writer.headers)).status, 400);
    assert.equal(await spent(server, writer.id), before, 'nothing was charged');
    assert.deepEqual((await send('{ featureLists(mine: true) { nodes { name } } }', {}, writer.headers)).data, none.data, 'and nothing done');

    // Aliases and hashes are charged as what they are; so is what fails.
    const reader = await keyOf(server, 'reader', ['read']);
    const cost = async (work: () => Promise<unknown>): Promise<number> => {
      const start = await spent(server, reader.id);
      await work();
      return (await spent(server, reader.id)) - start;
    };
    const one = await cost(() => send(MODELS, {}, reader.headers));
    assert.equal(await cost(() => send(`{ ${[1, 2, 3, 4, 5].map((i) => `a${i}: models { nodes { name } }`).join(' ')} }`, {}, reader.headers)), 5 * one);
    const extensions = { persistedQuery: { version: 1, sha256Hash: createHash('sha256').update(MODELS).digest('hex') } };
    assert.equal(await cost(() => post(url, { query: MODELS, extensions }, reader.headers)), one);
    assert.equal(await cost(() => post(url, { extensions }, reader.headers)), one);
    assert.equal(await cost(() => fetch(`${url}?extensions=${encodeURIComponent(JSON.stringify(extensions))}`, { headers: reader.headers })), one);
    const failing = '{ models(first: 20, after: "nonsense") { nodes { name } } }';
    assert.equal((await send(failing, {}, reader.headers)).errors[0]?.extensions['code'], 'BAD_CURSOR');
    assert.equal(await cost(() => send(failing, {}, reader.headers)), one);
    assert.equal(await cost(() => send('{ patch: activations(model: "toy", text: "a") { tokens } }', {}, reader.headers)), 201, 'refused for its scope, it was asked for all the same');
  });
});

test('fifty requests at once of every kind spend no unit more than the quota, and one that is refused spends none', async () => {
  await withServer({ seed: SEED, access: OPEN }, async (server) => {
    const { url, send } = server;
    const stream = 'subscription { patches(input: { patches: [] }) { done } }';
    const probe = await keyOf(server, 'probe', ['read', 'patch']);
    assert.equal((await subscribe(url, stream, probe.headers)).status, 200);
    const streamed = await spent(server, probe.id);
    await send(MODELS, {}, probe.headers);
    const queried = (await spent(server, probe.id)) - streamed;
    const quota = 2 * streamed + 7 * queried + 1;
    const key = await keyOf(server, 'key', ['read', 'patch'], quota);
    const kinds = [
      async () => ((await send(MODELS, {}, key.headers)).status === 200 ? queried : 0),
      async () => ((await fetch(`${url}?query=${encodeURIComponent(MODELS)}`, { headers: key.headers })).status === 200 ? queried : 0),
      async () => ((await subscribe(url, stream, key.headers)).status === 200 ? streamed : 0),
    ];
    const ran = await Promise.all(Array.from({ length: 51 }, (_, i) => kinds[i % kinds.length]!()));
    const total = ran.reduce((sum, cost) => sum + cost, 0);
    assert.equal(await spent(server, key.id), total);
    assert.ok(total <= quota && total > quota - streamed, `${total} of ${quota}`);
    const over = await subscribe(url, stream, key.headers);
    assert.deepEqual([over.status, over.errors[0]?.extensions['limit']], [429, 'quota']);
    assert.equal(await spent(server, key.id), total);
    assert.equal(await spent(server, probe.id), streamed + queried, 'nobody else pays');
  });
});

test('a stream ends when its key is revoked meanwhile, or its model hidden', async () => {
  for (const how of ['revoke', 'restrict'] as const) {
    await withServer({ seed: SEED, access: { ...OPEN, believedMs: 0 } }, async (server) => {
      const key = await keyOf(server, 'key', ['read', 'patch']);
      const query = 'subscription ($patches: [PatchInput!]!) { patches(input: { patches: $patches }) { done } }';
      const variables = { patches: Array.from({ length: 1024 }, () => ({ model: 'toy', base: 'a', features: [{ feature: 'bad', operation: 'ABLATE' }] })) };
      const response = await fetch(`${server.url}/stream`, { method: 'POST', headers: { 'content-type': 'application/json', accept: 'text/event-stream', ...key.headers }, body: JSON.stringify({ query, variables }) });
      assert.equal(response.status, 200);
      let text = '';
      for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
        if (text === '') await (how === 'revoke' ? server.catalog.keys.revoke(key.id) : server.catalog.keys.restrict('toy', true));
        text += chunk;
      }
      const events = [...text.matchAll(/^data: (\{.*)$/gm)].map(([, json]) => JSON.parse(json!) as Json);
      assert.ok(events.length < 1000, `${events.length} events came`);
      assert.equal(at(events.at(-1)!, 'errors.0.extensions.code'), how === 'revoke' ? 'UNAUTHENTICATED' : 'FORBIDDEN');
    });
  }
});

test('metrics are for administrators once there are keys, for owners before, and for all where that is said', async () => {
  await withServer({ seed: SEED, access: { ...OPEN, believedMs: 0 }, server: { meters: prometheusMeters() } }, async (server) => {
    const ask = async (headers: Record<string, string> = {}): Promise<number> => (await fetch(`${server.base}/metrics`, { headers })).status;
    assert.equal(await ask(), 200, 'everybody is the owner');
    const reader = await keyOf(server, 'reader', ['read', 'patch', 'annotate']);
    const admin = await keyOf(server, 'admin', ['admin']);
    assert.deepEqual([await ask(), await ask(reader.headers), await ask({ authorization: 'Bearer x' }), await ask(admin.headers)], [401, 403, 401, 200]);
  });
  await withServer({ seed: SEED, access: { reads: 'closed', loopback: false }, server: { meters: prometheusMeters(), http: { metricsOpen: true } } }, async (server) => {
    assert.equal((await fetch(`${server.base}/metrics`)).status, 200);
    assert.equal((await fetch(server.url)).status, 401);
  });
});

test('texts that mean something to SQL, to patterns or to a search are words like others', async () => {
  await withServer({ seed: SEED, access: OPEN }, async (server) => {
    const key = await keyOf(server, 'key', ['read', 'annotate']);
    const words = [`'; DROP TABLE note; --`, `' OR '1'='1`, `") OR 1=1 --`, `\\'; SELECT pg_sleep(5); --`, '%', '_', '\\', '$1', '{}', '{1,2}', '&|!<->:*', `a' & 'b`, '*', '-', '"', '()', 'NULL', '../../etc/passwd', '\u0001', '\ud800', 'a\u0000b', '💥'.repeat(20)];
    const operations: readonly (readonly [string, string])[] = [
      ['String!', 'searchFeatures(query: $x) { total { value } nodes { address } }'],
      ['String!', 'prefixed: searchFeatures(query: $x, prefix: true, filter: { explainers: [$x] }) { facets { explainers { name } } }'],
      ['String!', 'features(filter: { explainer: $x }) { nodes { address } }'],
      ['String!', 'features(filter: { score: { scorer: $x, judge: $x } }, orderBy: SCORER_DESC, after: $x) { nodes { address } }'],
      ['String!', 'dictionaries(filter: { model: $x, dictionaries: [$x] }, after: $x) { nodes { name } }'],
      ['String!', 'dictionary(model: $x, name: $x) { name } model(name: $x) { name } run(key: $x) { key } runs(stage: $x) { nodes { key } }'],
      ['String!', 'token(model: "toy", text: $x) { id }'],
      ['ID!', 'node(id: $x) { id } nodes(ids: [$x, $x]) { id }'],
    ];
    const ids = (text: string): string[] => ['Model', 'Dictionary', 'Feature', 'Explanation', 'Run', 'PatchRun', 'Note', 'FeatureList'].map((type) => Buffer.from(`${type}:${text}`).toString('base64url'));
    for (const x of words) {
      for (const [type, fields] of operations) {
        const { status, errors } = await server.send(`query ($x: ${type}) { ${fields} }`, { x }, key.headers);
        assert.ok(status < 500 && errors.every(({ extensions }) => !/INTERNAL|UNAVAILABLE/.test(String(extensions['code']))), `${JSON.stringify(x)} in ${fields}: ${JSON.stringify(errors)}`);
      }
      const { data } = await server.send('query ($ids: [ID!]!) { nodes(ids: $ids) { id } }', { ids: [...ids(x), ...ids(`toy/${x}`), ...ids(`toy/0-tied-r2/1/${x}`)] }, key.headers);
      assert.ok(JSON.stringify(data) === 'null' || (at(data, 'nodes') as Json[]).every((node) => node === null), x);
      const noted = await server.send('mutation ($x: String!) { noteCreate(input: { feature: "toy/0-tied-r2/1", text: $x }) { note { text } userErrors { code } } featureListCreate(input: { name: $x, description: $x }) { list { name } userErrors { code } } }', { x }, key.headers);
      assert.deepEqual(noted.errors, [], x);
      const text = at(noted.data, 'noteCreate.note');
      if (text !== null) assert.equal(at(text, 'text'), x);
    }
    // Ids and addresses are written in one way: another spelling of one is no id.
    const note = await server.send('mutation { noteCreate(input: { feature: "toy/0-tied-r2/2", text: "a" }) { note { id } } }', {}, key.headers);
    const number = Buffer.from(at(note.data, 'noteCreate.note.id') as string, 'base64url').toString().slice('Note:'.length);
    const odd = ['Feature:toy/0-tied-r2/01', 'Explanation:toy/0-tied-r2/01/pattern-v1', `Note:0${number}`, 'Dictionary:toy0-tied-r2'].map((text) => Buffer.from(text).toString('base64url'));
    assert.deepEqual((await server.send('query ($odd: [ID!]!) { nodes(ids: $odd) { id } }', { odd }, key.headers)).data, { nodes: odd.map(() => null) });
  });
});
