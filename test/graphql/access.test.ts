import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildSchema } from 'graphql';
import { checkExposure, createKey } from '../../src/catalog/access.ts';
import { readSchema } from '../../src/graphql/schema.ts';
import { at } from '../helpers/graphqlClient.ts';
import { subscribe } from './subscribe.ts';
import { RULES } from './whoMayWhat.ts';
import { withServer, type TestServer } from './withServer.ts';

const OPEN = { reads: 'open', loopback: true } as const;

async function keyOf({ catalog }: TestServer, name: string, scopes: string[], more: { models?: string[]; quota?: number } = {}) {
  const { id, token } = await createKey(catalog.keys, { name, scopes, models: more.models ?? [], quota: more.quota ?? null });
  return { id, token, headers: { authorization: `Bearer ${token}` } };
}

/** The operation of a rule, sent to where it is answered. */
const sendTo = ({ url, send }: TestServer, field: string, query: string, headers: Record<string, string> = {}) => (field.startsWith('Subscription.') ? subscribe(url, query, headers) : send(query, {}, headers));

/** Codes of an answer's errors and user errors. */
const said = (answer: { readonly data: unknown; readonly errors: readonly { extensions: { readonly [key: string]: unknown } }[] }): string => JSON.stringify([answer.errors.map((error) => error.extensions['code']), answer.data]);

test('every root field has a rule, and is refused to those who lack its scope', async () => {
  const schema = buildSchema(await readSchema());
  const fields = [schema.getQueryType()!, schema.getMutationType()!, schema.getSubscriptionType()!].flatMap((type) => Object.keys(type.getFields()).map((field) => `${type.name}.${field}`));
  assert.deepEqual(fields.filter((field) => RULES[field] === undefined), [], 'give new fields a rule in whoMayWhat.ts');
  await withServer({ access: { reads: 'closed', loopback: true } }, async (server) => {
    const keys = new Map<string, Record<string, string>>();
    for (const scope of ['read', 'patch', 'annotate', 'admin']) keys.set(scope, (await keyOf(server, scope, scope === 'admin' ? ['admin'] : ['read', scope])).headers);
    for (const [field, { scope, ask }] of Object.entries(RULES)) {
      assert.equal((await sendTo(server, field, ask('toy'))).status, 401, `${field} without a key`);
      for (const [name, headers] of keys) {
        const may = scope === 'read' || name === scope || name === 'admin';
        const answer = await sendTo(server, field, ask('toy'), headers);
        assert.equal(/FORBIDDEN|UNAUTHENTICATED/.test(said(answer)), !may, `${field} by a key for ${name}: ${said(answer)}`);
        if (!may) assert.ok(answer.errors.some((error) => error.extensions['code'] === 'FORBIDDEN'), field);
      }
    }
  });
});

test('a restricted model does not exist for keys without it, and does for those with it', async () => {
  await withServer({ access: OPEN }, async (server) => {
    const granted = await keyOf(server, 'granted', ['read', 'patch'], { models: ['toy'] });
    const other = await keyOf(server, 'other', ['read', 'patch', 'annotate']);
    await server.catalog.keys.restrict('toy', true);
    for (const [field, { ask }] of Object.entries(RULES)) {
      const hidden = await sendTo(server, field, ask('toy'), other.headers);
      const absent = await sendTo(server, field, ask('yot'), other.headers);
      assert.equal(said(hidden), said(absent).replaceAll('yot', 'toy'), field);
      assert.equal(JSON.stringify(hidden.errors.map((error) => error.message)), JSON.stringify(absent.errors.map((error) => error.message)).replaceAll('yot', 'toy'), field);
    }
    const everything = `{ models { nodes { name } } dictionaries { nodes { name } } features { nodes { address } } searchFeatures(query: "giraffe") { nodes { address } } run(key: "train-0123456789abcdef") { key } }`;
    const blind = await server.send(everything, {}, other.headers);
    assert.deepEqual(blind.data, { models: { nodes: [] }, dictionaries: { nodes: [] }, features: { nodes: [] }, searchFeatures: { nodes: [] }, run: null });
    const seen = await server.send(everything, {}, granted.headers);
    assert.equal(at(seen.data, 'models.nodes.0.name'), 'toy');
    assert.equal(at(seen.data, 'run.key'), 'train-0123456789abcdef');
    assert.ok(/giraffe|toy/.test(JSON.stringify(at(seen.data, 'searchFeatures.nodes'))));
    assert.equal(JSON.stringify((await server.send('{ models { nodes { name } } }')).data), '{"models":{"nodes":[]}}', 'nor for strangers');
    const page = await (await fetch(`${server.base}/`)).text();
    assert.ok(!page.includes('toy/'), 'the page names nothing hidden');
  });
});

test('unknown, revoked and malformed keys are 401; a revoked one at once', async () => {
  await withServer({ access: OPEN }, async (server) => {
    const key = await keyOf(server, 'mine', ['read']);
    const ask = (authorization: string) => server.send('{ server { version } }', {}, { authorization });
    assert.equal((await ask(`Bearer ${key.token}`)).status, 200);
    for (const wrong of ['', 'Bearer', 'Basic abc', 'Bearer fc_000000000000_x', `Bearer ${key.token.slice(0, -1)}${key.token.endsWith('A') ? 'B' : 'A'}`]) {
      const answer = await ask(wrong);
      assert.equal(answer.status, 401, wrong);
      assert.equal(answer.errors[0]?.extensions['code'], 'UNAUTHENTICATED');
    }
    await server.catalog.keys.revoke(key.id);
    assert.equal((await ask(`Bearer ${key.token}`)).status, 401, 'known to the cache, and refused by the charge');
    assert.ok(JSON.stringify(await server.catalog.keys.list()).includes('"usedToday"'));
  });
});

test('parallel requests spend a quota to the unit, and so does the store as another server uses it; no other key pays', async () => {
  await withServer({ access: OPEN }, async (server) => {
    const query = '{ models { nodes { name } } }';
    const probe = await keyOf(server, 'probe', ['read']);
    const cost = at((await server.send(query, {}, probe.headers)).extensions, 'cost.quota.used') as number;
    assert.ok(cost > 0);
    const key = await keyOf(server, 'spender', ['read'], { quota: 10 * cost + cost - 1 });
    const answers = await Promise.all(Array.from({ length: 40 }, () => server.send(query, {}, key.headers)));
    assert.equal(answers.filter(({ status }) => status === 200).length, 10);
    const refused = answers.find(({ status }) => status === 429);
    assert.equal(refused?.errors[0]?.extensions['code'], 'LIMIT_EXCEEDED');
    assert.equal(refused?.errors[0]?.extensions['used'], 10 * cost);
    assert.match(String(refused?.errors[0]?.extensions['renewsAt']), /T00:00:00/);
    // The store itself, as another server would use it.
    assert.equal((await server.catalog.keys.charge(key.id, cost)).outcome, 'refused');
    assert.equal((await server.catalog.keys.charge(key.id, cost - 1)).outcome, 'charged');
    const uses = await server.catalog.keys.list();
    assert.deepEqual(uses.map(({ name, usedToday }) => [name, usedToday]), [['probe', cost], ['spender', 11 * cost - 1]]);
  });
});

test('the secret is nowhere in the database; without keys loopback is open, and other addresses are refused', async () => {
  await withServer({ access: OPEN }, async (server) => {
    assert.equal((await server.send(RULES['Mutation.patch']!.ask('toy'))).errors.length, 0);
    await assert.rejects(checkExposure(server.catalog.keys, false, '0.0.0.0'), /BAD_CONFIG|keys create/);
    await checkExposure(server.catalog.keys, true, '127.0.0.1');
    await keyOf(server, 'reader', ['read']);
    await assert.rejects(checkExposure(server.catalog.keys, false, '0.0.0.0'), /keys create/);
    const { token } = await keyOf(server, 'patcher', ['patch']);
    await checkExposure(server.catalog.keys, false, '0.0.0.0');
    const rows = await server.catalog.sql<{ row: string }>(`SELECT row_to_json(k)::text || encode(secret_hash, 'escape') AS row FROM api_key k`);
    const secret = token.split('_').slice(2).join('_');
    for (const { row } of rows) assert.ok(!row.includes(secret) && !row.includes(Buffer.from(secret, 'base64url').toString('hex')));
  });
});
