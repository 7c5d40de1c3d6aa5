import assert from 'node:assert/strict';
import { gzipSync } from 'node:zlib';
import { test } from 'node:test';
import { getIntrospectionQuery } from 'graphql';
import { at, send, type Json } from '../helpers/graphqlClient.ts';
import { withServer, type TestServer } from './withServer.ts';

const times = (count: number, make: (i: number) => string): string => Array.from({ length: count }, (_, i) => make(i)).join(' ');
const FEATURE = 'feature(address: "toy/0-tied-r2/1")';

/** Documents, the code each is refused with, and its limit where it has one. */
const DOCUMENTS: readonly (readonly [string, string, string, string?])[] = [
  ['nested deeper than the limit', `{ ${FEATURE} { ${'incomingEdges(first: 1) { nodes { '.repeat(10)} index ${'} }'.repeat(10)} } }`, 'LIMIT_EXCEEDED', 'depth'],
  ['nested as deep as the tokens allow', `{ ${'server { '.repeat(900)} version ${'} '.repeat(900)} }`, 'LIMIT_EXCEEDED', 'repetition'],
  ['brackets without end', `{ a(x: ${'['.repeat(2900)}`, 'GRAPHQL_PARSE_FAILED'],
  ['wide', `{ ${times(30, (i) => `a${i}: ${FEATURE} { incomingEdges(first: 100) { nodes { topLogits { text } incomingEdges(first: 100) { nodes { address } } } } }`)} }`, 'LIMIT_EXCEEDED', 'cost'],
  ['aliased', `{ ${times(100, (i) => `a${i}: __typename`)} }`, 'LIMIT_EXCEEDED', 'aliases'],
  ['many root fields by fragments', `{ ${times(50, () => '...A')} } fragment A on Query { server { version } }`, 'LIMIT_EXCEEDED', 'rootFields'],
  ['repeated fields', `{ ${times(700, () => 'server { version }')} }`, 'LIMIT_EXCEEDED', 'repetition'],
  ['repeated fields in many fragments', `{ ${FEATURE} { ${times(250, (i) => `...F${i}`)} } } ${times(250, (i) => `fragment F${i} on Feature { index id }`)}`, 'LIMIT_EXCEEDED', 'repetition'],
  ['directives', `{ server { ${times(120, () => 'version @include(if: true)')} } }`, 'LIMIT_EXCEEDED', 'directives'],
  ['one directive many times', `{ server ${times(400, () => '@include(if: true)')} { version } }`, 'GRAPHQL_VALIDATION_FAILED'],
  ['unknown directives', `{ server ${times(500, (i) => `@d${i}`)} { version } }`, 'GRAPHQL_VALIDATION_FAILED'],
  ['a fragment in itself', '{ ...A } fragment A on Query { server { version } ...A }', 'GRAPHQL_VALIDATION_FAILED'],
  ['fragments in a ring', `{ ...F0 } ${times(200, (i) => `fragment F${i} on Query { ...F${(i + 1) % 200} }`)}`, 'GRAPHQL_VALIDATION_FAILED'],
  [
    'doubling fragments',
    `{ ${FEATURE} { ...F0 } } ${times(60, (i) => `fragment F${i} on Feature { a: incomingEdges(first: 1) { nodes { ...F${i + 1} } } b: outgoingEdges(first: 1) { nodes { ...F${i + 1} } } }`)} fragment F60 on Feature { index }`,
    'GRAPHQL_VALIDATION_FAILED',
  ],
  ['introspection in circles', `{ __schema { types { ${'fields { type { '.repeat(5)} name ${'} }'.repeat(5)} } } }`, 'GRAPHQL_VALIDATION_FAILED'],
  ['introspection many times', `{ ${times(40, (i) => `a${i}: __schema { types { fields { args { type { name } } } } }`)} }`, 'LIMIT_EXCEEDED', 'introspection'],
  ['aliases inside introspection', `{ __schema { types { ${times(90, (i) => `a${i}: name`)} } } }`, 'LIMIT_EXCEEDED', 'aliases'],
  ['a thousand variables', `query (${times(700, (i) => `$v${i}: Int`)}) { server { version } }`, 'GRAPHQL_VALIDATION_FAILED'],
  ['a long name', `{ ${'x'.repeat(200_000)} }`, 'GRAPHQL_VALIDATION_FAILED'],
  ['a long string', `{ feature(address: "${'x'.repeat(200_000)}") { id } }`, 'BAD_INPUT'],
];

let nested: Json = 1;
for (let i = 0; i < 1000; i++) nested = [nested];

/** Variables of `query ($a: FeatureAddress!, $ids: [ID!]!)`; the status must stay below 500. */
const VARIABLES: readonly (readonly [string, Record<string, Json>])[] = [
  ['a huge string', { a: 'x'.repeat(200_000), ids: [] }],
  ['many ids', { a: 'toy/0-tied-r2/1', ids: Array.from({ length: 15_000 }, () => 'x') }],
  ['many values', { a: 'toy/0-tied-r2/1', ids: Array.from({ length: 30_000 }, () => 1) }],
  ['nested lists', { a: 'toy/0-tied-r2/1', ids: nested }],
  ['undeclared', { a: 'toy/0-tied-r2/1', ids: [], more: nested }],
  ['named like what objects have', JSON.parse('{"a": "toy/0-tied-r2/1", "ids": [], "__proto__": {"x": 1}, "constructor": 1}') as Record<string, Json>],
  ['halves of characters', { a: '\ud800', ids: ['\u0000'] }],
];

test('hostile documents and variables are refused by what is wrong with them; other readers get their answers', async (t) => {
  await withServer({ seed: { features: 15 } }, async (server) => {
    let read = 0;
    const work = { done: false };
    const reader = async (): Promise<void> => {
      for (; !work.done; read++) assert.equal(at(await server.ask(`{ ${FEATURE} { address } }`), 'feature.address'), 'toy/0-tied-r2/1');
    };
    const reading = Promise.all([reader(), reader()]);
    // Told below; when something else fails first, that is what counts.
    reading.catch(() => undefined);
    const found: Json[] = [];
    for (const [name, query] of DOCUMENTS) {
      const answers = await Promise.all(Array.from({ length: 4 }, () => server.send(query)));
      for (const { status, errors } of answers) assert.ok(status < 500 && errors.length > 0, name);
      const { code = null, limit = null } = answers[0]!.errors[0]?.extensions ?? {};
      found.push([name, code, limit]);
    }
    assert.deepEqual(found, DOCUMENTS.map(([name, , code, limit]) => [name, code, limit ?? null]));
    for (const [name, variables] of VARIABLES) {
      const { status, errors } = await server.send('query ($a: FeatureAddress!, $ids: [ID!]!) { feature(address: $a) { id } nodes(ids: $ids) { id } }', variables);
      assert.ok(status < 500, name);
      assert.ok(errors.every((error) => !/INTERNAL|UNAVAILABLE/.test(String(error.extensions['code']))), name);
    }
    await bodies(server);
    work.done = true;
    await reading;
    t.diagnostic(`${read} reads beside ${DOCUMENTS.length * 4 + VARIABLES.length} hostile operations`);
    assert.ok(read > DOCUMENTS.length);
    assert.equal((await server.send(getIntrospectionQuery())).errors.length, 0);
    assert.deepEqual(server.log.filter(({ msg }) => msg === 'a request failed'), []);
  });
});

async function bodies({ url }: TestServer): Promise<void> {
  const post = (body: string | Buffer<ArrayBuffer>, headers: Record<string, string> = {}) => fetch(url, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body });
  // A few kB that would become 100 MB.
  const bomb = gzipSync(Buffer.from(`{"query":"{ server { version } }","x":"${'0'.repeat(1e8)}"}`));
  assert.equal((await post(bomb, { 'content-encoding': 'gzip' })).status, 413);
  assert.equal((await post(gzipSync('{"query":"{ server { version } }"}'), { 'content-encoding': 'gzip' })).status, 200);
  assert.equal((await post('['.repeat(200_000))).status, 400);
  assert.equal((await post(`{"query":"{ server { version } }","variables":${'{"a":'.repeat(30_000)}1${'}'.repeat(30_000)}}`)).status, 400);
  assert.equal((await post(JSON.stringify(Array.from({ length: 100 }, () => ({ query: '{ server { version } }' }))))).status, 400, 'no batches');
  assert.equal((await post('{}', { 'content-type': 'application/json; charset=nonsense' })).status, 415);
  assert.equal((await fetch(`${url}?query=${'x'.repeat(15_000)}`)).status < 500, true);
  assert.equal((await fetch(url, { headers: { 'x-long': 'x'.repeat(20_000) } })).status, 431);
  assert.equal((await send(url, '{ server { version } }')).status, 200);
}
