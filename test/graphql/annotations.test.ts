import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createKey } from '../../src/catalog/access.ts';
import { at, list } from '../helpers/graphqlClient.ts';
import { loadSeeded, seedConfig } from '../helpers/seedCatalog.ts';
import { withServer, type TestServer } from './withServer.ts';

const OPEN = { access: { reads: 'open', loopback: true } } as const;
const HERE = 'toy/0-tied-r2/1';

/** Asks as a fresh key for annotations; errors and user errors fail the test unless told otherwise. */
async function writer({ catalog, send }: TestServer, name: string, scopes = ['read', 'annotate']) {
  const { token } = await createKey(catalog.keys, { name, scopes, models: [], quota: null });
  const headers = { authorization: `Bearer ${token}` };
  return {
    raw: (query: string) => send(query, {}, headers),
    async ask(query: string) {
      const answer = await send(query, {}, headers);
      assert.deepEqual(answer.errors, [], query);
      return answer.data;
    },
  };
}

const ALL = `userErrors { code field message }`;

test('a person explains beside the machine: searched, named, changed by its author alone, kept when the dictionary changes', async () => {
  await withServer(OPEN, async (server) => {
    const ann = await writer(server, 'ann');
    const bob = await writer(server, 'bob');
    const create = `mutation { explanationCreate(input: { feature: "${HERE}", description: "fires on marmalade" }) { explanation { id explainer author stale run { key } } ${ALL} } }`;
    const made = await ann.ask(create);
    const id = at(made, 'explanationCreate.explanation.id') as string;
    assert.deepEqual({ ...(at(made, 'explanationCreate.explanation') as object), id: '' }, { id: '', explainer: 'person/ann', author: 'ann', stale: false, run: null });
    assert.equal(at(await ann.ask(create), 'explanationCreate.explanation.id'), id, 'again is the same');
    assert.equal(at(await server.ask(`{ node(id: "${id}") { ... on Explanation { description } } }`), 'node.description'), 'fires on marmalade');
    assert.equal(at(await server.ask(`{ searchFeatures(query: "marmalade") { nodes { address } } }`), 'searchFeatures.nodes.0.address'), HERE);
    assert.equal((await bob.raw(`mutation { explanationDelete(input: { id: "${id}" }) { deletedId ${ALL} } }`)).errors[0]?.extensions['code'], 'FORBIDDEN');
    assert.equal((await bob.raw(`mutation { explanationUpdate(input: { id: "${id}", description: "x" }) { ${ALL} } }`)).errors[0]?.extensions['code'], 'FORBIDDEN');
    await ann.ask(`mutation { explanationUpdate(input: { id: "${id}", description: "fires on quince" }) { ${ALL} } }`);
    // An import brings what another bob said: this one may neither change it nor take it for theirs.
    const [{ dictionaryId }] = (await server.catalog.sql<{ dictionaryId: number }>(`SELECT id AS "dictionaryId" FROM dictionary WHERE name = '0-tied-r2'`)) as [{ dictionaryId: number }];
    await server.catalog.annotations.saveExplanation({ dictionaryId, index: 2, explainer: 'person/bob', description: 'said elsewhere', owner: 'elsewhere', weightsHash: '' });
    for (const description of ['mine', 'said elsewhere']) {
      assert.equal((await bob.raw(`mutation { explanationCreate(input: { feature: "toy/0-tied-r2/2", description: "${description}" }) { ${ALL} } }`)).errors[0]?.extensions['code'], 'FORBIDDEN');
    }
    // The same dictionary loaded again, then with other weights.
    await loadSeeded(server.catalog.writer, seedConfig(0, 40), 'dictionaries/0');
    const stale = `{ node(id: "${id}") { ... on Explanation { description stale } } }`;
    assert.deepEqual(at(await server.ask(stale), 'node'), { description: 'fires on quince', stale: false });
    await loadSeeded(server.catalog.writer, { ...seedConfig(0, 40), weightsHash: 'e'.repeat(64) }, 'dictionaries/0');
    assert.deepEqual(at(await server.ask(stale), 'node'), { description: 'fires on quince', stale: true });
    assert.equal(at(await ann.ask(`mutation { explanationDelete(input: { id: "${id}" }) { deletedId ${ALL} } }`), 'explanationDelete.deletedId'), id);
    assert.equal(at(await server.ask(stale), 'node'), null);
  });
});

test('private notes and lists of one key do not exist for another, nor for strangers; an admin sees them', async () => {
  await withServer(OPEN, async (server) => {
    const ann = await writer(server, 'ann');
    const bob = await writer(server, 'bob');
    const root = await writer(server, 'root', ['admin']);
    const ids: string[] = [];
    for (const [text, visibility] of [['secret one', 'PRIVATE'], ['shown', 'PUBLIC'], ['secret two', 'PRIVATE']]) {
      const note = await ann.ask(`mutation { noteCreate(input: { feature: "${HERE}", text: "${text}", visibility: ${visibility} }) { note { id mine } ${ALL} } }`);
      ids.push(at(note, 'noteCreate.note.id') as string);
    }
    const notes = `{ feature(address: "${HERE}") { notes(first: 1) { nodes { text author mine } pageInfo { hasNextPage endCursor } } } }`;
    assert.deepEqual(at(await bob.ask(notes), 'feature.notes.nodes'), [{ text: 'shown', author: 'ann', mine: false }]);
    assert.equal(at(await bob.ask(notes), 'feature.notes.pageInfo.hasNextPage'), false, 'filtered before it is limited');
    assert.deepEqual(at(await server.ask(notes), 'feature.notes.nodes'), [{ text: 'shown', author: 'ann', mine: false }]);
    assert.equal(at(await ann.ask(notes), 'feature.notes.pageInfo.hasNextPage'), true);
    const cursor = at(await ann.ask(notes), 'feature.notes.pageInfo.endCursor') as string;
    assert.deepEqual(list(await ann.ask(`{ feature(address: "${HERE}") { notes(after: "${cursor}") { nodes { text } } } }`), 'feature.notes.nodes'), [{ text: 'shown' }, { text: 'secret two' }]);
    assert.equal(list(await root.ask(`{ feature(address: "${HERE}") { notes { nodes { text } } } }`), 'feature.notes.nodes').length, 3);
    assert.equal(at(await bob.ask(`{ node(id: "${ids[0]}") { id } }`), 'node'), null);
    assert.equal(at(await bob.ask(`mutation { noteDelete(input: { id: "${ids[0]}" }) { deletedId ${ALL} } }`), 'noteDelete.userErrors.0.code'), 'NOT_FOUND');
    assert.equal((await bob.raw(`mutation { noteDelete(input: { id: "${ids[1]}" }) { deletedId ${ALL} } }`)).errors[0]?.extensions['code'], 'FORBIDDEN');
    assert.equal(at(await ann.ask(`mutation { noteDelete(input: { id: "${ids[0]}" }) { deletedId ${ALL} } }`), 'noteDelete.deletedId'), ids[0]);
  });
});

test('lists of features: made, filled once, paged, shown, and only their owner changes them; hidden models are not counted', async () => {
  await withServer(OPEN, async (server) => {
    const ann = await writer(server, 'ann');
    const bob = await writer(server, 'bob');
    const create = `mutation { featureListCreate(input: { name: "fruit" }) { list { id size visibility } ${ALL} } }`;
    const id = at(await ann.ask(create), 'featureListCreate.list.id') as string;
    assert.equal(at(await ann.ask(create), 'featureListCreate.userErrors.0.code'), 'BAD_INPUT');
    const entries = [3, 1, 2].map((i) => `{ feature: "toy/0-tied-r2/${i}", comment: "c${i}" }`).join();
    const add = `mutation { featureListAdd(input: { id: "${id}", features: [${entries}] }) { list { size } ${ALL} } }`;
    for (const _ of [1, 2]) assert.equal(at(await ann.ask(add), 'featureListAdd.list.size'), 3);
    assert.equal(at(await ann.ask(`mutation { featureListAdd(input: { id: "${id}", features: [{ feature: "toy/0-tied-r2/4000" }] }) { list { size } ${ALL} } }`), 'featureListAdd.userErrors.0.code'), 'NOT_FOUND');
    assert.deepEqual(list(await bob.ask('{ featureLists { nodes { name } } }'), 'featureLists.nodes'), []);
    assert.equal(at(await bob.ask(`{ node(id: "${id}") { id } }`), 'node'), null);
    assert.equal(at(await bob.ask(add), 'featureListAdd.userErrors.0.code'), 'NOT_FOUND');
    await ann.ask(`mutation { featureListUpdate(input: { id: "${id}", visibility: PUBLIC }) { list { name } ${ALL} } }`);
    const page = `{ node(id: "${id}") { ... on FeatureList { name size entries(first: 2) { edges { comment node { address } } pageInfo { endCursor hasNextPage } } } } }`;
    const first = await bob.ask(page);
    assert.deepEqual(at(first, 'node.entries.edges'), [{ comment: 'c3', node: { address: 'toy/0-tied-r2/3' } }, { comment: 'c1', node: { address: 'toy/0-tied-r2/1' } }]);
    const cursor = at(first, 'node.entries.pageInfo.endCursor') as string;
    assert.deepEqual(at(await bob.ask(page.replace('first: 2', `first: 2, after: "${cursor}"`)), 'node.entries.edges'), [{ comment: 'c2', node: { address: 'toy/0-tied-r2/2' } }]);
    assert.equal((await bob.raw(add)).errors[0]?.extensions['code'], 'FORBIDDEN');
    assert.equal(at(await ann.ask(`mutation { featureListRemove(input: { id: "${id}", features: ["toy/0-tied-r2/1"] }) { list { size } ${ALL} } }`), 'featureListRemove.list.size'), 2);
    await server.catalog.keys.restrict('toy', true);
    // A key made now, on a server that has not asked for restricted models yet.
    assert.equal((await server.catalog.annotations.list(1, { owner: '', author: '', admin: false, hidden: ['toy'] }))?.size, 0);
    await ann.ask(`mutation { featureListDelete(input: { id: "${id}" }) { deletedId ${ALL} } }`);
    assert.deepEqual(list(await ann.ask('{ featureLists { nodes { name } } }'), 'featureLists.nodes'), []);
  });
});
