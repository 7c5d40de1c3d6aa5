import assert from 'node:assert/strict';
import { test } from 'node:test';
import { list, type Json } from '../helpers/graphqlClient.ts';
import { withServer } from './withServer.ts';

/** Everything a feature has, with the other features it names, to a second level. */
const NESTED = `query ($first: Int!) { features(first: $first, orderBy: DENSITY_DESC, filter: { dictionaries: ["1-tied-r2"] }) { nodes {
  address dictionary { name model { name } trainRun { key } explanationSummaries { explainer coverage run { key } scores { judge ofScored { value } } } }
  topLogits { text value } bottomLogits { text } histogram { counts }
  neighbours(first: 2) { cosine feature { address dictionary { name } bestExplanation { description } } }
  explanations(first: 4) { nodes { description madeFrom { row } scores { judge value fragments { start } } run { key } feature { address } } }
  skips { explainer reason run { key } }
  exemplars(first: 3) { texts activations }
  random: exemplars(kinds: [RANDOM], first: 2) { text }
  incomingEdges(first: 2) { edges { effect run { key } node { address explanations { nodes { description } } } } }
  outgoingEdges(first: 2) { nodes { address dictionary { model { name } } } }
} } }`;

const SEARCH = `query ($first: Int!) { searchFeatures(query: "layer", first: $first) { edges { relevance node { address bestExplanation { description } exemplars(first: 1) { text } } } } }`;

test('the number of SQL statements does not grow with the page', async (t) => {
  await withServer({ seed: { features: 60, layers: 3 } }, async ({ ask, catalog }) => {
    for (const [name, source, path] of [['a nested page', NESTED, 'features.nodes'], ['a search', SEARCH, 'searchFeatures.edges']] as const) {
      const counts: number[] = [];
      for (const first of [2, 10, 40]) {
        catalog.statements.length = 0;
        const data: Json = await ask(source, { first });
        assert.equal(list(data, path).length, first);
        counts.push(catalog.statements.length);
      }
      t.diagnostic(`${name}: ${counts.join(', ')} statements for pages of 2, 10, 40`);
      assert.deepEqual(counts, [counts[0], counts[0], counts[0]], name);
      assert.ok(counts[0]! <= 27, `${name} takes ${counts[0]} statements`);
    }
    catalog.statements.length = 0;
    await ask('{ a: feature(address: "toy/0-tied-r2/1") { density } b: feature(address: "toy/1-tied-r2/7") { density } c: feature(address: "toy/0-tied-r2/9") { density } }');
    assert.equal(catalog.statements.length, 2, 'several features by address: dictionaries once, features once');
  });
});
