import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json } from '../helpers/graphqlClient.ts';
import { withServer } from './withServer.ts';

interface Found {
  readonly features: { readonly nodes: readonly { readonly index: number; readonly maxActivation: number; readonly bestScore: number | null }[]; readonly pageInfo: { readonly endCursor: string | null } };
}
const FEATURES = `query ($filter: FeatureFilter, $order: FeatureOrder! = INDEX, $first: Int! = 100, $after: String) {
  features(filter: $filter, orderBy: $order, first: $first, after: $after) { nodes { index maxActivation bestScore } pageInfo { endCursor } }
}`;

test('features are filtered by instrument, explainer, edges, architecture and activation, and ordered by an instrument', () =>
  withServer({ seed: { features: 40, layers: 2 } }, async ({ ask, send }) => {
    const find = async (filter: Record<string, Json>, order = 'INDEX'): Promise<Found['features']['nodes']> => ((await ask(FEATURES, { filter: { dictionaries: ['1-tied-r2'], ...filter }, order })) as unknown as Found).features.nodes;
    const all = await find({});
    const indices = (nodes: Found['features']['nodes']): number[] => nodes.map(({ index }) => index);
    const where = (holds: (node: (typeof all)[number]) => boolean): number[] => indices(all.filter(holds));
    // In the seeded catalog every fifth feature is skipped, layer 1 has edges from layer 0 and none onward, and all act on tokens.
    assert.deepEqual(indices(await find({ explainer: 'pattern-v1' })), where(({ index }) => index % 5 !== 4));
    assert.deepEqual(await find({ explainer: 'nobody' }), []);
    assert.deepEqual(indices(await find({ hasIncomingEdges: true, hasOutputTokens: true })), indices(all));
    assert.deepEqual(await find({ hasOutgoingEdges: true }), []);
    assert.deepEqual(indices(await find({ hasOutgoingEdges: false, explained: false })), where(({ index }) => index % 5 === 4));
    assert.deepEqual(indices(await find({ maxActivation: { min: 5, max: 9 } })), where(({ maxActivation }) => maxActivation >= 5 && maxActivation <= 9));
    assert.deepEqual(indices(await find({ bestScore: { max: 0 } })), where(({ bestScore }) => bestScore !== null && bestScore <= 0));
    assert.deepEqual(indices(await find({ bestScore: { min: 0.2 }, minScore: 0.5 })), where(({ bestScore }) => bestScore !== null && bestScore >= 0.5));
    assert.deepEqual(indices(await find({ score: { scorer: 'simulation-top-random', judge: 'pattern-v1', value: { min: 0.5 } } })), where(({ bestScore }) => bestScore !== null && bestScore >= 0.5));
    assert.deepEqual(await find({ score: { scorer: 'simulation-top-random', judge: 'nobody' } }), []);
    assert.deepEqual([(await find({ architectures: ['TIED'] })).length, await find({ architectures: ['TOPK'] })], [40, []]);
    const score = { scorer: 'simulation-top-random' };
    const best = indices(await find({ score }, 'SCORER_DESC'));
    assert.deepEqual(best, indices((await find({}, 'SCORE_DESC')).filter(({ bestScore }) => bestScore !== null)));
    assert.deepEqual(indices(await find({ score }, 'SCORER_ASC')), [...best].reverse());

    for (const [filter, order, code] of [
      [{}, 'SCORER_DESC', 'BAD_INPUT'],
      [{ maxActivation: { min: 2, max: 1 } }, 'INDEX', 'BAD_INPUT'],
      [{ score: { scorer: '' } }, 'INDEX', 'BAD_INPUT'],
      [{ explainer: 'x'.repeat(501) }, 'INDEX', 'TEXT_TOO_LONG'],
    ] as const) {
      const { errors } = await send(FEATURES, { filter: filter as unknown as Json, order });
      assert.equal(errors[0]?.extensions['code'], code, JSON.stringify(filter));
    }
    // A cursor of one instrument's order is none of another's.
    const { features } = (await ask(FEATURES, { filter: { score }, order: 'SCORER_DESC', first: 3 })) as unknown as Found;
    assert.equal((await send(FEATURES, { filter: { score: { ...score, judge: 'pattern-v1' } }, order: 'SCORER_DESC', after: features.pageInfo.endCursor })).errors[0]?.extensions['code'], 'BAD_CURSOR');
    assert.equal((await send(FEATURES, { filter: { score }, order: 'SCORER_ASC', after: features.pageInfo.endCursor })).errors[0]?.extensions['code'], 'BAD_CURSOR');
  }));

test('runs are listed newest first, of all stages or one, with what each made', () =>
  withServer({ seed: { features: 5, layers: 2 } }, async ({ ask, catalog }) => {
    await catalog.sql(`INSERT INTO run (key, stage, params, inputs, seed, code_version, started_at, metrics) SELECT 'r' || i, 'train', '{}', '{}', 1, 'v', '2026-03-01'::timestamptz + (i / 2) * interval '1 hour', '{}' FROM generate_series(0, 5) i`);
    const keys = (data: Json): string[] => (data as unknown as { runs: { nodes: { key: string }[] } }).runs.nodes.map(({ key }) => key);
    assert.deepEqual(keys(await ask('{ runs(stage: "train") { nodes { key } } }')), ['r4', 'r5', 'r2', 'r3', 'r0', 'r1', 'train-0123456789abcdef']);
    assert.deepEqual(keys(await ask('{ runs { nodes { key } } }')).slice(6), ['analyse', 'circuits', 'explain', 'train'].map((stage) => `${stage}-0123456789abcdef`));
    assert.deepEqual(keys(await ask('{ runs(stage: "none") { nodes { key } } }')), []);
    assert.deepEqual(await ask('{ run(key: "explain-0123456789abcdef") { trainedDictionaries { nodes { name } } explanationSummaries { nodes { explainer dictionary { name } run { stage } } } } }'), {
      run: { trainedDictionaries: { nodes: [] }, explanationSummaries: { nodes: ['0-tied-r2', '1-tied-r2'].map((name) => ({ explainer: 'pattern-v1', dictionary: { name }, run: { stage: 'explain' } })) } },
    });
  }));

test('exemplars of a kind are paged by rank', () =>
  withServer({ seed: { features: 3, layers: 1 } }, async ({ ask }) => {
    const page = (kind: string, after: string | null): Promise<Json> => ask('query ($kind: ExemplarKind!, $after: String) { feature(address: "toy/0-tied-r2/1") { exemplarPages(kind: $kind, first: 3, after: $after) { nodes { kind rank } pageInfo { endCursor hasNextPage } } } }', { kind, after });
    const first = (await page('RANDOM', null)) as unknown as { feature: { exemplarPages: { nodes: Json; pageInfo: { endCursor: string; hasNextPage: boolean } } } };
    assert.deepEqual(first.feature.exemplarPages.nodes, [0, 1, 2].map((rank) => ({ kind: 'RANDOM', rank })));
    const { endCursor, hasNextPage } = first.feature.exemplarPages.pageInfo;
    assert.equal(hasNextPage, true);
    const rest = (await page('RANDOM', endCursor)) as unknown as typeof first;
    assert.deepEqual([rest.feature.exemplarPages.nodes, rest.feature.exemplarPages.pageInfo.hasNextPage], [[{ kind: 'RANDOM', rank: 3 }], false]);
    await assert.rejects(page('TOP', endCursor), /BAD_CURSOR/);
  }));
