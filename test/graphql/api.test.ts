import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shortFloat } from '../../src/math/shortFloat.ts';
import { at, list, type Json } from '../helpers/graphqlClient.ts';
import { seedDescription, seedFeature } from '../helpers/seedCatalog.ts';
import { withServer, type TestServer } from './withServer.ts';

const FEATURES = 40;
const SEED = 7;

test('reading the catalog', async (t) => {
  await withServer({ seed: { features: FEATURES, layers: 3, seed: SEED } }, async (server) => {
    const { ask } = server;

    await t.test('server', async () => {
      assert.deepEqual(await ask('{ server { version healthy } }'), { server: { version: '0.0.0-test', healthy: true } });
    });

    await t.test('models and their dictionaries', async () => {
      const data = await ask(`{
        models { nodes { name architecture layers dModel vocabSize contextLength parameters weightsHash tokenizerHash } pageInfo { hasNextPage } }
        model(name: "toy") { dictionaries { nodes { name hookPoint outputHookPoint layer architecture dIn nFeatures k l1 tokensAnalysed
          quality { fvu l0 aliveShare vectors } model { name } trainRun { stage seed inputs { name hash } params finishedAt } analyseRun { key } } } }
        missing: model(name: "nope") { name }
      }`);
      assert.deepEqual(at(data, 'models'), {
        nodes: [
          {
            name: 'toy', architecture: 'gpt_neox', layers: 3, dModel: 8, vocabSize: 50, contextLength: 64, parameters: 6_900_000_000,
            weightsHash: 'a'.repeat(64), tokenizerHash: 'b'.repeat(64),
          },
        ],
        pageInfo: { hasNextPage: false },
      });
      assert.equal(at(data, 'missing'), null);
      const dictionaries = list(data, 'model.dictionaries.nodes');
      assert.deepEqual(dictionaries.map((node) => at(node, 'name')), ['0-tied-r2', '1-tied-r2', '2-tied-r2']);
      assert.deepEqual(dictionaries[1], {
        name: '1-tied-r2', hookPoint: 'resid_post.1', outputHookPoint: null, layer: 1, architecture: 'TIED', dIn: 8, nFeatures: FEATURES, k: null, l1: 0.001, tokensAnalysed: 5_000_000_000,
        quality: { fvu: 0.25, l0: 12.5, aliveShare: 0.9, vectors: 10_000 },
        model: { name: 'toy' },
        trainRun: {
          stage: 'train', seed: SEED, inputs: [{ name: 'model', hash: 'aa11' }, { name: 'text', hash: 'bb22' }], params: { width: 8, note: 'train' },
          finishedAt: '2026-01-02T03:05:05.000Z',
        },
        analyseRun: { key: 'analyse-0123456789abcdef' },
      });
    });

    await t.test('a feature is what the analysis found', async () => {
      const data = await ask(`{ feature(address: "toy/1-tied-r2/3") {
        address index density maxActivation meanActivation histogram { edges counts }
        topLogits { id text value } bottomLogits(first: 2) { value } neighbours(first: 2) { index cosine feature { address } }
        exemplars(first: 2) { kind rank row start maxActivation text texts activations tokens { id text activation } }
        dictionary { name } } }`);
      const seeded = seedFeature(1, 3, FEATURES, SEED);
      const feature = at(data, 'feature');
      assert.equal(at(feature, 'address'), 'toy/1-tied-r2/3');
      for (const name of ['index', 'density', 'maxActivation', 'meanActivation', 'histogram'] as const) assert.deepEqual(at(feature, name), seeded[name]);
      assert.deepEqual(at(feature, 'topLogits'), seeded.topLogits.map(({ id, value }) => ({ id, text: ` t${id}`, value: shortFloat(value) })));
      assert.deepEqual(at(feature, 'bottomLogits'), seeded.bottomLogits.slice(0, 2).map(({ value }) => ({ value: shortFloat(value) })));
      assert.deepEqual(at(feature, 'neighbours.1'), { ...seeded.neighbours[1], cosine: shortFloat(seeded.neighbours[1]!.cosine), feature: { address: 'toy/1-tied-r2/5' } });
      const exemplars = seeded.exemplars.filter(({ kind }) => kind === 'top').slice(0, 2);
      assert.deepEqual(
        at(feature, 'exemplars'),
        exemplars.map(({ rank, row, start, maxActivation, ids, activations }) => ({
          kind: 'TOP', rank, row, start, maxActivation: shortFloat(maxActivation), text: ids.map((id) => ` t${id}`).join(''), texts: ids.map((id) => ` t${id}`), activations: activations.map(shortFloat),
          tokens: ids.map((id, i) => ({ id, text: ` t${id}`, activation: shortFloat(activations[i]!) })),
        })),
      );
    });

    await t.test('exemplars of several kinds, in two fields with other arguments, are not mixed up', async () => {
      const data = await ask(`{ feature(address: "toy/0-tied-r2/0") {
        a: exemplars(kinds: [RANDOM], first: 1) { kind rank } b: exemplars(kinds: [QUANTILE, TOP], first: 2) { kind rank } c: exemplars(kinds: []) { kind } } }`);
      assert.deepEqual(at(data, 'feature.a'), [{ kind: 'RANDOM', rank: 0 }]);
      assert.deepEqual(
        list(data, 'feature.b').map((exemplar) => `${String(at(exemplar, 'kind'))} ${String(at(exemplar, 'rank'))}`).sort(),
        ['QUANTILE 0', 'QUANTILE 1', 'TOP 0', 'TOP 1'],
      );
      assert.deepEqual(at(data, 'feature.c'), []);
    });

    await t.test('explanations with scores, undefined ones with their reason', async () => {
      const source = `query ($a: FeatureAddress!) { feature(address: $a) { bestScore bestExplanation { explainer }
        explanations { nodes { explainer description scores { scorer value undefinedReason n interval { low high } } feature { address } run { stage } } } } }`;
      assert.deepEqual(await ask(source, { a: 'toy/0-tied-r2/1' }), {
        feature: {
          bestScore: 0.84,
          bestExplanation: { explainer: 'pattern-v1' },
          explanations: {
            nodes: [
              {
                explainer: 'pattern-v1', description: seedDescription(0, 1), feature: { address: 'toy/0-tied-r2/1' }, run: { stage: 'explain' },
                scores: [{ scorer: 'simulation-top-random', value: 0.84, undefinedReason: null, n: 640, interval: { low: 0.74, high: 0.94 } }],
              },
            ],
          },
        },
      });
      const undefinedScore = await ask(source, { a: 'toy/0-tied-r2/0' });
      assert.deepEqual(at(undefinedScore, 'feature.explanations.nodes.0.scores.0'), {
        scorer: 'simulation-top-random', value: null, undefinedReason: 'the simulation is constant', n: 640, interval: null,
      });
      assert.equal(at(undefinedScore, 'feature.bestScore'), null);
      assert.deepEqual(at(await ask(source, { a: 'toy/0-tied-r2/4' }), 'feature'), { bestScore: null, bestExplanation: null, explanations: { nodes: [] } });
    });

    await t.test('edges in both directions, strongest first, with the other end', async () => {
      const data = await ask(`{ feature(address: "toy/1-tied-r2/5") {
        incomingEdges { edges { effect standardError n node { address } run { stage } } pageInfo { hasNextPage } }
        outgoingEdges(first: 1) { edges { effect node { address } } pageInfo { hasNextPage endCursor } } } }`);
      assert.deepEqual(at(data, 'feature.incomingEdges'), {
        edges: [
          { effect: 0.75, standardError: 0.125, n: 16, node: { address: 'toy/0-tied-r2/5' }, run: { stage: 'circuits' } },
          { effect: -0.5, standardError: 0.125, n: 16, node: { address: 'toy/0-tied-r2/6' }, run: { stage: 'circuits' } },
        ],
        pageInfo: { hasNextPage: false },
      });
      assert.deepEqual(at(data, 'feature.outgoingEdges.edges'), [{ effect: 0.75, node: { address: 'toy/2-tied-r2/5' } }]);
      assert.equal(at(data, 'feature.outgoingEdges.pageInfo.hasNextPage'), true);
      const next = await ask(
        'query ($after: String) { feature(address: "toy/1-tied-r2/5") { outgoingEdges(first: 1, after: $after) { edges { effect node { address } } pageInfo { hasNextPage hasPreviousPage } } } }',
        { after: at(data, 'feature.outgoingEdges.pageInfo.endCursor') },
      );
      assert.deepEqual(at(next, 'feature.outgoingEdges'), {
        edges: [{ effect: -0.5, node: { address: 'toy/2-tied-r2/4' } }],
        pageInfo: { hasNextPage: false, hasPreviousPage: true },
      });
    });

    await t.test('unknown things are null', async () => {
      const data = await ask(`{ a: feature(address: "toy/0-tied-r2/40") { id } b: feature(address: "toy/9-tied-r2/0") { id } c: feature(address: "x/y/0") { id }
        d: dictionary(model: "toy", name: "nope") { id } e: run(key: "nope") { id } f: node(id: "nope") { id } g: node(id: "${Buffer.from('Feature:a/b').toString('base64url')}") { id }
        h: dictionary(model: "toy", name: "0-tied-r2") { last: feature(index: 39) { index } beyond: feature(index: 40) { index } negative: feature(index: -1) { index } }
        i: patchRun(id: "${Buffer.from('PatchRun:nope').toString('base64url')}") { id } }`);
      const { h, ...rest } = data as { [key: string]: Json };
      assert.deepEqual(rest, { a: null, b: null, c: null, d: null, e: null, f: null, g: null, i: null });
      assert.deepEqual(h, { last: { index: 39 }, beyond: null, negative: null });
    });

    await t.test('ids are opaque, lead back to the same thing, and equal for the same thing', async () => {
      const data = await ask(`{ model(name: "toy") { id } dictionary(model: "toy", name: "1-tied-r2") { id trainRun { id } }
        feature(address: "toy/1-tied-r2/2") { id explanations { nodes { id } } } features(filter: { dictionaries: ["1-tied-r2"] }, first: 3) { nodes { id } } }`);
      const ids = [
        at(data, 'model.id'), at(data, 'dictionary.id'), at(data, 'feature.id'), at(data, 'feature.explanations.nodes.0.id'), at(data, 'dictionary.trainRun.id'),
      ];
      assert.equal(at(data, 'features.nodes.2.id'), at(data, 'feature.id'));
      for (const id of ids) assert.match(String(id), /^[A-Za-z0-9_-]+$/);
      const nodes = await ask(
        `query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id ... on Feature { address } ... on Explanation { explainer feature { address } } ... on Model { name } } }`,
        { ids: [...ids, 'gap', ids[0]!] },
      );
      assert.deepEqual(list(nodes, 'nodes').map((node) => (node === null ? null : at(node, '__typename'))), ['Model', 'Dictionary', 'Feature', 'Explanation', 'Run', null, 'Model']);
      assert.deepEqual(list(nodes, 'nodes').flatMap((node) => (node === null ? [] : [at(node, 'id')])), [...ids, ids[0]]);
      assert.equal(at(nodes, 'nodes.2.address'), 'toy/1-tied-r2/2');
      assert.equal(at(nodes, 'nodes.3.feature.address'), 'toy/1-tied-r2/2');
    });

    await t.test('pages of every order join to the whole list, each feature once, in order', () => pagesJoin(server));

    await t.test('filters', async () => {
      const filtered = (filter: string) =>
        ask(`{ features(filter: ${filter}, first: 100) { nodes { address density bestScore explanations { nodes { id } } dictionary { layer } } } }`).then((data) => list(data, 'features.nodes'));
      const dense = await filtered('{ model: "toy", density: { min: 0.03, max: 0.05 } }');
      assert.ok(dense.length > 0 && dense.every((node) => Number(at(node, 'density')) >= 0.03 && Number(at(node, 'density')) <= 0.05));
      const good = await filtered('{ minScore: 0.5, layers: [0, 2] }');
      assert.ok(good.length > 0 && good.every((node) => Number(at(node, 'bestScore')) >= 0.5 && at(node, 'dictionary.layer') !== 1));
      const unexplained = await filtered('{ dictionaries: ["1-tied-r2"], explained: false }');
      assert.equal(unexplained.length, FEATURES / 5);
      assert.ok(unexplained.every((node) => list(node, 'explanations.nodes').length === 0));
      assert.deepEqual(await filtered('{ model: "nope" }'), []);
      const inner = await ask('{ dictionary(model: "toy", name: "2-tied-r2") { features(orderBy: SCORE_DESC, first: 1, filter: { explained: true }) { nodes { dictionary { name } bestScore } } } }');
      assert.equal(at(inner, 'dictionary.features.nodes.0.dictionary.name'), '2-tied-r2');
    });

    await t.test('search: words, then similar spellings, highlighted and escaped, paged', async () => {
      const source = `query ($q: String!, $first: Int!, $after: String, $filter: SearchFilter) { searchFeatures(query: $q, first: $first, after: $after, filter: $filter) {
        matched edges { relevance highlight explainer cursor node { address } } nodes { index } pageInfo { hasNextPage endCursor } } }`;
      const words = await ask(source, { q: 'giraffe', first: 100 });
      assert.equal(at(words, 'searchFeatures.matched'), 'WORDS');
      const edges = list(words, 'searchFeatures.edges');
      // Feature i is about topic i mod 8, and every fifth has no explanation: 3, 11, 27, 35 of each layer.
      assert.deepEqual(edges.map((edge) => at(edge, 'node.address')).sort(), [0, 1, 2].flatMap((l) => [11, 27, 3, 35].map((i) => `toy/${l}-tied-r2/${i}`)).sort());
      for (const edge of edges) assert.match(String(at(edge, 'highlight')), /^the <mark>giraffe<\/mark> in layer \d, case \d+ &lt;b&gt;$/);
      const seen: Json[] = [];
      let after: Json = null;
      for (let pages = 0; pages < 20; pages++) {
        const page: Json = await ask(source, { q: 'giraffe', first: 5, after });
        seen.push(...list(page, 'searchFeatures.edges').map((edge) => at(edge, 'node.address')));
        after = at(page, 'searchFeatures.pageInfo.endCursor');
        if (at(page, 'searchFeatures.pageInfo.hasNextPage') === false) break;
      }
      assert.deepEqual(seen, edges.map((edge) => at(edge, 'node.address')));
      const similar = await ask(source, { q: 'girrafe', first: 3 });
      assert.equal(at(similar, 'searchFeatures.matched'), 'SIMILAR');
      assert.match(String(at(similar, 'searchFeatures.edges.0.highlight')), /<mark>giraffe<\/mark>/);
      const narrowed = await ask(source, { q: 'giraffe', first: 100, filter: { dictionaries: ['2-tied-r2'], minScore: 0.2 } });
      assert.ok(list(narrowed, 'searchFeatures.edges').every((edge) => String(at(edge, 'node.address')).startsWith('toy/2-tied-r2/')));
      assert.deepEqual(list(await ask(source, { q: 'giraffe', first: 5, filter: { model: 'nope' } }), 'searchFeatures.edges'), []);
    });

    await t.test('a patch of a model whose files are absent is a user error', async () => {
      const data = await ask(`mutation { patch(input: { model: "toy", base: "hello", features: [{ feature: "toy/0-tied-r2/1", operation: SCALE, value: 2 }] }) { patchRun { id } userErrors { code field message } } }`);
      assert.deepEqual(at(data, 'patch'), { patchRun: null, userErrors: [{ code: 'MODEL_UNAVAILABLE', field: null, message: 'the files of model toy are not here' }] });
    });
  });
});

async function pagesJoin({ ask }: TestServer): Promise<void> {
  const value: Record<string, (node: Json) => number> = {
    INDEX: () => 0,
    DENSITY_ASC: (node) => Number(at(node, 'density')),
    DENSITY_DESC: (node) => -Number(at(node, 'density')),
    MAX_ACTIVATION_DESC: (node) => -Number(at(node, 'maxActivation')),
    SCORE_DESC: (node) => (at(node, 'bestScore') === null ? Infinity : -Number(at(node, 'bestScore'))),
  };
  for (const [order, key] of Object.entries(value)) {
    const nodes: Json[] = [];
    let after: Json = null;
    for (let pages = 0; pages < 50; pages++) {
      const page: Json = await ask(
        `query ($order: FeatureOrder!, $after: String) { features(orderBy: $order, first: 17, after: $after) {
          nodes { address index density maxActivation bestScore dictionary { layer } } edges { cursor } pageInfo { hasNextPage endCursor startCursor hasPreviousPage } } }`,
        { order, after },
      );
      nodes.push(...list(page, 'features.nodes'));
      assert.equal(at(page, 'features.pageInfo.hasPreviousPage'), after !== null);
      assert.equal(at(page, 'features.edges.0.cursor'), at(page, 'features.pageInfo.startCursor'));
      after = at(page, 'features.pageInfo.endCursor');
      if (at(page, 'features.pageInfo.hasNextPage') === false) break;
    }
    assert.equal(new Set(nodes.map((node) => at(node, 'address'))).size, 3 * FEATURES, order);
    assert.equal(nodes.length, 3 * FEATURES);
    const keys = nodes.map((node) => [key(node), Number(at(node, 'dictionary.layer')), Number(at(node, 'index'))]);
    const sorted = [...keys].sort((a, b) => a[0]! - b[0]! || a[1]! - b[1]! || a[2]! - b[2]!);
    assert.deepEqual(keys, sorted, order);
  }
}
