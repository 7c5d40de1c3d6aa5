import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decoderCosine, jaccard, windowOverlap } from '../../src/catalog/compareFeatures.ts';
import { firedTokens } from '../../src/adapters/prisma/featureTokens.ts';
import { shortFloat } from '../../src/math/shortFloat.ts';
import type { FeatureView } from '../../src/catalog/features.ts';
import type { DictionaryWeights } from '../../src/domain/dictionary.ts';
import { at, list, type Json } from '../helpers/graphqlClient.ts';
import { seedConfig, seedFeature } from '../helpers/seedCatalog.ts';
import { withServer } from './withServer.ts';

const FEATURES = 60;
const SEED = 7;

/** By brute force, from the seeded exemplars themselves: every (feature, token) with the strongest activation and its places. */
function expected(layer: number, index: number): { token: number; activation: number; share: number; count: number }[] {
  const feature = seedFeature(layer, index, FEATURES, SEED);
  const places = new Map<string, { token: number; activation: number }>();
  for (const { row, start, ids, activations } of feature.exemplars) {
    for (const [i, token] of ids.entries()) if (activations[i]! > 0 && !places.has(`${row}/${start + i}`)) places.set(`${row}/${start + i}`, { token, activation: activations[i]! });
  }
  const all = [...places.values()];
  return [...new Set(all.map(({ token }) => token))]
    .map((token) => {
      const here = all.filter((place) => place.token === token).map(({ activation }) => activation);
      const activation = Math.max(...here);
      return { token, activation, share: Math.min(1, activation / feature.maxActivation), count: here.length };
    })
    .sort((a, b) => b.activation - a.activation || a.token - b.token)
    .slice(0, 10);
}

test('tokens a feature fires on: a place in two windows counts once, silent features have none', () => {
  const feature = seedFeature(0, 3, FEATURES, SEED);
  const window = { kind: 'top' as const, rank: 0, row: 5, start: 2, ids: [7, 8, 7], activations: [1, 0, 2], maxActivation: 2 };
  const twice = { ...feature, maxActivation: 4, exemplars: [window, { ...window, kind: 'random' as const, start: 4, ids: [7, 9, 9], activations: [2, 3, 0] }] };
  assert.deepEqual(firedTokens(twice), [
    { tokenId: 9, activation: 3, share: 0.75, count: 1 },
    { tokenId: 7, activation: 2, share: 0.5, count: 2 },
  ]);
  assert.deepEqual(firedTokens({ ...feature, maxActivation: 0 }), []);
});

test('cosine of two decoder directions, and windows that meet', async () => {
  const config = { ...seedConfig(0, 2), nFeatures: 2 };
  const weights = (decoder: readonly number[]): DictionaryWeights => ({ config, encoder: new Float32Array(0), encoderBias: new Float32Array(2), threshold: null, decoder: Float32Array.from(decoder), decoderBias: new Float32Array(0), skip: null });
  const held: Record<string, DictionaryWeights> = { one: weights([9, 9, 3, 4]), two: weights([4, 3, 1, 0]), wide: weights([1, 0, 0, 0, 1, 0]), none: weights([0, 0, 1, 1]) };
  const live = { dictionary: async (_: string, name: string): Promise<DictionaryWeights> => held[name]! };
  const view = (name: string, index: number): FeatureView => ({ dictionary: { model: 'toy', name }, row: { index } }) as FeatureView;
  assert.ok(Math.abs((await decoderCosine(live, view('one', 1), view('two', 0))).value! - 24 / 25) < 1e-7);
  assert.deepEqual(await decoderCosine(live, view('one', 1), view('wide', 0)), { value: null, reason: 'the directions have different widths, 2 and 3' });
  assert.deepEqual(await decoderCosine(live, view('one', 1), view('none', 0)), { value: null, reason: 'a direction is zero' });
  const [window] = seedFeature(0, 1, FEATURES, SEED).exemplars;
  const near = (by: number): number | null => windowOverlap([window!], [{ ...window!, start: window!.start + by }]);
  assert.deepEqual([near(0), near(11), near(12), near(-11), near(-12)], [1, 1, 0, 1, 0]);
  assert.equal(jaccard([1, 2, 3], [2, 3, 4]), 0.5);
});

test('features by token, and tokens by feature', async (t) => {
  await withServer({ seed: { features: FEATURES, layers: 3, seed: SEED } }, async ({ ask, send }) => {
    const truth = [0, 1, 2].flatMap((layer) => Array.from({ length: FEATURES }, (_, index) => ({ layer, index, tokens: expected(layer, index) })));
    const ofToken = (token: number, layers: readonly number[], minShare: number): unknown[] =>
      truth
        .flatMap(({ layer, index, tokens }) => tokens.filter((one) => one.token === token && layers.includes(layer) && one.share >= minShare).map((one) => ({ layer, index, ...one })))
        .sort((a, b) => b.share - a.share || a.layer - b.layer || a.index - b.index)
        .map(({ layer, index, activation, share, count }) => ({ activation: shortFloat(activation), share, count, node: { address: `toy/${layer}-tied-r2/${index}` } }));

    await t.test('a feature lists its tokens, strongest first', async () => {
      const data = await ask('{ feature(address: "toy/1-tied-r2/5") { tokens(first: 20) { edges { activation share count node { id text } } pageInfo { hasNextPage } } } }');
      const wanted = expected(1, 5).map(({ token, activation, share, count }) => ({ activation: shortFloat(activation), share, count, node: { id: token, text: ` t${token}` } }));
      assert.ok(wanted.length > 3);
      assert.deepEqual(at(data, 'feature.tokens.edges'), wanted);
    });

    await t.test('a token lists its features over all dictionaries, page by page, nearest their maximum first', async () => {
      const source = `query ($after: String, $layers: [Int!], $dictionaries: [String!], $minShare: Float! = 0) { token(model: "toy", id: 7) { features(first: 4, after: $after, layers: $layers, dictionaries: $dictionaries, minShare: $minShare) {
        edges { activation share count node { address } } pageInfo { hasNextPage endCursor } } } }`;
      const pages = async (variables: Record<string, Json>): Promise<Json[]> => {
        const seen: Json[] = [];
        let after: Json = null;
        for (let n = 0; n < 60; n++) {
          const page: Json = await ask(source, { ...variables, after });
          seen.push(...list(page, 'token.features.edges'));
          after = at(page, 'token.features.pageInfo.endCursor');
          if (at(page, 'token.features.pageInfo.hasNextPage') === false) return seen;
        }
        throw new Error('the pages do not end');
      };
      const all = ofToken(7, [0, 1, 2], 0);
      assert.ok(all.length > 12, 'the seed gives several pages');
      assert.deepEqual(await pages({}), all);
      assert.deepEqual(await pages({ layers: [1] }), ofToken(7, [1], 0));
      assert.deepEqual(await pages({ dictionaries: ['0-tied-r2', '2-tied-r2'], minShare: 0.5 }), ofToken(7, [0, 2], 0.5));
      assert.deepEqual(await pages({ layers: [9] }), []);
    });

    await t.test('features filtered by a token they fire on, in any order', async () => {
      const source = '{ features(filter: { model: "toy", tokenId: 7 }, orderBy: DENSITY_ASC, first: 100) { nodes { address density } } one: dictionary(model: "toy", name: "1-tied-r2") { features(filter: { tokenId: 7 }, first: 100) { nodes { address } } } }';
      const data = await ask(source);
      const having = (layers: readonly number[]): string[] => truth.filter(({ layer, tokens }) => layers.includes(layer) && tokens.some(({ token }) => token === 7)).map(({ layer, index }) => `toy/${layer}-tied-r2/${index}`);
      const found = list(data, 'features.nodes');
      assert.deepEqual(found.map((node) => at(node, 'address')).sort(), having([0, 1, 2]).sort());
      const densities = found.map((node) => Number(at(node, 'density')));
      assert.deepEqual(densities, [...densities].sort((a, b) => a - b));
      assert.deepEqual(list(data, 'one.features.nodes').map((node) => at(node, 'address')), having([1]));
    });

    await t.test('two features beside one another', async () => {
      const source = `query ($b: FeatureAddress!) { compareFeatures(a: "toy/0-tied-r2/5", b: $b) { a { index } b { index } decoderCosine { value reason } exemplarOverlap { value reason } topLogitOverlap
        tokens { shared { token { id } shareA shareB } onlyA { token { id text } activation } onlyB { token { id } } } edges { source { address } target { address } effect run { stage } } scores { scorer judge explainer a b } } }`;
      const data = await ask(source, { b: 'toy/1-tied-r2/5' });
      const [a, b] = [expected(0, 5), expected(1, 5)];
      const shared = a.filter(({ token }) => b.some((other) => other.token === token));
      assert.deepEqual(at(data, 'compareFeatures.tokens.shared'), shared.map(({ token, share }) => ({ token: { id: token }, shareA: share, shareB: b.find((other) => other.token === token)!.share })));
      assert.deepEqual(list(data, 'compareFeatures.tokens.onlyB').map((one) => at(one, 'token.id')), b.filter(({ token }) => !a.some((other) => other.token === token)).map(({ token }) => token));
      assert.deepEqual(at(data, 'compareFeatures.edges'), [{ source: { address: 'toy/0-tied-r2/5' }, target: { address: 'toy/1-tied-r2/5' }, effect: 0.75, run: { stage: 'circuits' } }]);
      const ids = [0, 1].map((layer) => seedFeature(layer, 5, FEATURES, SEED).topLogits.map(({ id }) => id));
      assert.equal(at(data, 'compareFeatures.topLogitOverlap'), jaccard(ids[0]!, ids[1]!));
      const tops = [0, 1].map((layer) => seedFeature(layer, 5, FEATURES, SEED).exemplars.filter(({ kind }) => kind === 'top'));
      assert.deepEqual(at(data, 'compareFeatures.exemplarOverlap'), { value: windowOverlap(tops[0]!, tops[1]!), reason: null });
      assert.deepEqual(at(data, 'compareFeatures.scores'), [{ scorer: 'simulation-top-random', judge: 'pattern-v1', explainer: 'pattern-v1', a: Math.round(100 * Math.sin(5)) / 100, b: Math.round(100 * Math.sin(6)) / 100 }]);
      assert.equal(at(data, 'compareFeatures.decoderCosine.value'), null);
      assert.ok(String(at(data, 'compareFeatures.decoderCosine.reason')).length > 10);
      assert.equal(at(await ask(source, { b: 'toy/1-tied-r2/999' }), 'compareFeatures'), null);
    });

    await t.test('cursors of another token, and shares that are none, are refused', async () => {
      const cursor = at(await ask('{ token(model: "toy", id: 7) { features(first: 1) { pageInfo { endCursor } } } }'), 'token.features.pageInfo.endCursor');
      for (const [source, code] of [[`{ token(model: "toy", id: 8) { features(after: "${String(cursor)}") { nodes { id } } } }`, 'BAD_CURSOR'], ['{ token(model: "toy", id: 8) { features(minShare: 2) { nodes { id } } } }', 'BAD_INPUT']] as const) {
        const { errors } = await send(source);
        assert.equal(errors?.[0]?.extensions['code'], code);
      }
    });
  });
});
