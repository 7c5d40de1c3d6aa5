import assert from 'node:assert/strict';
import { test } from 'node:test';
import { at, list, type Json } from '../helpers/graphqlClient.ts';
import { withServer } from './withServer.ts';

const SOURCE = `query ($q: String!, $prefix: Boolean, $first: Int! = 5, $after: String, $filter: SearchFilter) {
  searchFeatures(query: $q, prefix: $prefix, first: $first, after: $after, filter: $filter) {
    matched engine fallback order total { value exact } nodes { address } pageInfo { endCursor }
    facets { exact engine models { name count } dictionaries { dictionary { name } count } layers { layer count } explainers { name count } } } }`;

test('searching: beginnings, explainers, totals, and facets over all matches', async (t) => {
  await withServer({ seed: { features: 40, layers: 3 } }, async ({ ask, send, catalog }) => {
    const search = async (variables: Record<string, Json>): Promise<Json> => at(await ask(SOURCE, variables), 'searchFeatures');
    const plain = await search({ q: 'giraffe' });

    await t.test('who answered, how, and how many there are', () => {
      assert.deepEqual(['matched', 'engine', 'fallback', 'order'].map((field) => at(plain, field)), ['WORDS', 'POSTGRES', null, 'RELEVANCE']);
      assert.deepEqual(at(plain, 'total'), { value: 12, exact: true });
    });

    await t.test('facets count what the page is a part of', async () => {
      const dictionaries = [0, 1, 2].map((layer) => ({ dictionary: { name: `${layer}-tied-r2` }, count: 4 }));
      const layers = [0, 1, 2].map((layer) => ({ layer, count: 4 }));
      const facets = at(plain, 'facets');
      assert.deepEqual([at(facets, 'exact'), at(facets, 'engine'), at(facets, 'models'), at(facets, 'dictionaries'), at(facets, 'layers')], [true, 'POSTGRES', [{ name: 'toy', count: 12 }], dictionaries, layers]);
      assert.equal(list(facets, 'explainers').map((facet) => Number(at(facet, 'count'))).reduce((sum, count) => sum + count, 0), 12);
      const narrowed = at(await search({ q: 'giraffe', filter: { layers: [1], minScore: -1 } }), 'facets');
      assert.deepEqual(at(narrowed, 'layers.0.layer'), 1);
      assert.equal(list(narrowed, 'layers').length, 1);
      const none = at(await search({ q: 'giraffe', filter: { model: 'nope' } }), 'facets');
      assert.deepEqual(['models', 'dictionaries', 'layers', 'explainers'].map((field) => at(none, field)), [[], [], [], []]);
    });

    await t.test('what is not selected is not counted', async () => {
      catalog.statements.length = 0;
      await ask('{ searchFeatures(query: "giraffe", first: 1) { matched } }');
      const without = catalog.statements.length;
      await ask('{ searchFeatures(query: "giraffe", first: 1) { matched facets { exact } } }');
      assert.ok(catalog.statements.length - without > without);
    });

    await t.test('the beginning of a word', async () => {
      const asked: Record<string, Json>[] = [{ q: 'gira', prefix: true }, { q: 'gira*' }, { q: 'gira' }];
      for (const variables of asked) {
        const found = await search(variables);
        assert.deepEqual([at(found, 'matched'), at(found, 'total.value'), at(found, 'facets.models.0.count')], ['PREFIX', 12, 12], JSON.stringify(variables));
      }
      assert.equal(at(await search({ q: 'gira', prefix: false }), 'matched'), 'SIMILAR');
    });

    await t.test('explainers', async () => {
      const [name, count] = [at(plain, 'facets.explainers.0.name'), at(plain, 'facets.explainers.0.count')];
      assert.deepEqual(at(await search({ q: 'giraffe', filter: { explainers: [name] } }), 'total'), { value: count, exact: true });
      assert.deepEqual(at(await search({ q: 'giraffe', filter: { explainers: ['nobody'] } }), 'nodes'), []);
    });

    await t.test('a cursor holds for the same prefix and explainers only, and only undamaged', async () => {
      const after = String(at(plain, 'pageInfo.endCursor'));
      const [scope, engine, position] = JSON.parse(Buffer.from(after, 'base64url').toString()) as [string, string, string];
      const made = (...values: readonly unknown[]): string => Buffer.from(JSON.stringify(values)).toString('base64url');
      const cases: Record<string, Json>[] = [
        { q: 'giraffe', after, prefix: true },
        { q: 'giraffe', after, filter: { explainers: ['pattern-v1'] } },
        ...[made(scope, engine, '[]'), made(scope, engine, '{}'), made(scope, engine, 'x'), made(scope, 'other', position), made(scope, engine, position.replace('words', 'semantic')), made(scope, engine, position.replace('0,', '7,'))].map((damaged) => ({ q: 'giraffe', after: damaged })),
      ];
      for (const variables of cases) {
        const { errors } = await send(SOURCE, variables);
        assert.deepEqual(errors.map(({ extensions }) => extensions['code']), ['BAD_CURSOR'], JSON.stringify(variables));
      }
      assert.equal(list(await search({ q: 'giraffe', after }), 'nodes').length, 5);
    });
  });
});
