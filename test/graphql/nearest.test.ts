import assert from 'node:assert/strict';
import { test } from 'node:test';
import { at, list, type Json } from '../helpers/graphqlClient.ts';
import { seedConfig } from '../helpers/seedCatalog.ts';
import { madeNearest, seedNearest, type NearestEnd } from '../helpers/seedNearest.ts';
import { withServer } from './withServer.ts';

const FEATURES = 40;
const K = 6;
const ENDS: readonly NearestEnd[] = [0, 1, 2].map((layer) => ({ dictionary: `${layer}-tied-r2`, weightsHash: seedConfig(layer, FEATURES).weightsHash, features: FEATURES }));

/** Edges of a feature as the API must give them. */
function expected(layer: number, index: number, layers: readonly number[], minCosine = -1): Json[] {
  return ENDS.flatMap((to, other) => {
    if (other === layer || !layers.includes(other)) return [];
    const { indices, cosines } = madeNearest(ENDS[layer], to, K);
    return Array.from({ length: K }, (_, rank) => ({ other, index: indices[index * K + rank], cosine: cosines[index * K + rank] }));
  })
    .filter((row) => row.index >= 0 && row.cosine >= minCosine)
    .sort((a, b) => b.cosine - a.cosine || a.other - b.other || a.index - b.index)
    .map((row) => ({ cosine: row.cosine, node: { address: `toy/${row.other}-tied-r2/${row.index}` }, run: { stage: 'nearest' } }));
}

const SOURCE = `query ($feature: FeatureAddress!, $first: Int! = 5, $after: String, $dictionaries: [String!], $layers: [Int!], $minCosine: Float) { feature(address: $feature) {
  nearest(first: $first, after: $after, dictionaries: $dictionaries, layers: $layers, minCosine: $minCosine) {
    edges { cosine node { address } run { stage } } nodes { index } pageInfo { hasNextPage hasPreviousPage endCursor } } } }`;

test('Feature.nearest: strongest first over all dictionaries, by dictionary, layer and cosine, page by page', async (t) => {
  await withServer({ seed: { features: FEATURES, layers: 3 } }, async ({ ask, send, catalog }) => {
    const empty = await ask(SOURCE, { feature: 'toy/1-tied-r2/5' });
    assert.deepEqual(at(empty, 'feature.nearest'), { edges: [], nodes: [], pageInfo: { hasNextPage: false, hasPreviousPage: false, endCursor: null } });
    await seedNearest(catalog.writer, 'toy', ENDS, K);

    const pages = async (variables: Record<string, Json>): Promise<Json[]> => {
      const seen: Json[] = [];
      let after: Json = null;
      for (let n = 0; n < 20; n++) {
        const page: Json = await ask(SOURCE, { ...variables, after });
        seen.push(...list(page, 'feature.nearest.edges'));
        assert.equal(list(page, 'feature.nearest.nodes').length, list(page, 'feature.nearest.edges').length);
        assert.equal(at(page, 'feature.nearest.pageInfo.hasPreviousPage'), after !== null);
        after = at(page, 'feature.nearest.pageInfo.endCursor');
        if (at(page, 'feature.nearest.pageInfo.hasNextPage') === false) return seen;
      }
      throw new Error('the pages do not end');
    };

    await t.test('all pages together are the whole list, whatever the page and the conditions', async () => {
      const feature = 'toy/1-tied-r2/5';
      assert.ok(expected(1, 5, [0, 1, 2]).length === 2 * K);
      for (const first of [1, 4, 100]) assert.deepEqual(await pages({ feature, first }), expected(1, 5, [0, 1, 2]));
      assert.deepEqual(await pages({ feature, layers: [2] }), expected(1, 5, [2]));
      assert.deepEqual(await pages({ feature, dictionaries: ['0-tied-r2', 'nope'] }), expected(1, 5, [0]));
      assert.deepEqual(await pages({ feature, dictionaries: ['0-tied-r2'], layers: [2] }), []);
      const strong = expected(1, 5, [0, 1, 2], 0.25);
      assert.ok(strong.length > 0 && strong.length < 2 * K);
      assert.deepEqual(await pages({ feature, minCosine: 0.25 }), strong);
      assert.deepEqual(await pages({ feature: 'toy/1-tied-r2/3' }), [], 'a direction of zero is near nothing');
    });

    await t.test('many features are one statement', async () => {
      catalog.statements.length = 0;
      const data = await ask('{ features(filter: { model: "toy", dictionaries: ["0-tied-r2"] }, first: 30) { nodes { index nearest(first: 3) { edges { cosine } } } } }');
      for (const node of list(data, 'features.nodes')) {
        assert.deepEqual(list(node, 'nearest.edges').map((edge) => at(edge, 'cosine')), expected(0, Number(at(node, 'index')), [1, 2]).slice(0, 3).map((edge) => at(edge, 'cosine')));
      }
      assert.equal(catalog.statements.filter((sql) => sql.includes('nearest_feature')).length, 1);
    });

    await t.test('cursors of another feature or condition, and cosines that are none, are refused', async () => {
      const cursor = at(await ask(SOURCE, { feature: 'toy/1-tied-r2/5' }), 'feature.nearest.pageInfo.endCursor');
      const cases: readonly (readonly [Record<string, Json>, string])[] = [
        [{ feature: 'toy/1-tied-r2/6', after: cursor }, 'BAD_CURSOR'],
        [{ feature: 'toy/1-tied-r2/5', after: cursor, layers: [0] }, 'BAD_CURSOR'],
        [{ feature: 'toy/1-tied-r2/5', minCosine: 1.5 }, 'BAD_INPUT'],
        [{ feature: 'toy/1-tied-r2/5', first: 0 }, 'LIMIT_EXCEEDED'],
        [{ feature: 'toy/1-tied-r2/5', first: 101 }, 'LIMIT_EXCEEDED'],
        [{ feature: 'toy/1-tied-r2/5', layers: Array.from({ length: 101 }, (_, i) => i) }, 'LIMIT_EXCEEDED'],
      ];
      for (const [variables, code] of cases) assert.equal((await send(SOURCE, variables)).errors[0]?.extensions['code'], code, JSON.stringify(variables));
    });
  });
});
