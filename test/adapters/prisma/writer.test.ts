import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { BASELINE_ARCHITECTURES, TRAINABLE_ARCHITECTURES, type DictionaryConfig } from '../../../src/domain/dictionary.ts';
import { CallerError } from '../../../src/domain/errors.ts';
import type { CallerErrorCode } from '../../../src/domain/errors.ts';
import type { CircuitEdge, ExplainOutcome, FeatureAnalysis } from '../../../src/domain/feature.ts';
import type { DictionaryLoad } from '../../../src/ports/CatalogWriter.ts';
import { MODEL, TOKENS, makeConfig, makeExemplar, makeExplanation, explainedBy, makeFeature, makeLoad, makeRun, stream } from '../../helpers/catalogData.ts';
import { withCatalog } from '../../helpers/withCatalog.ts';
import type { TestCatalog } from '../../helpers/withCatalog.ts';

const SLOW_LOADER = fileURLToPath(new URL('slowLoader.ts', import.meta.url));
const BIG_TABLES = ['feature', 'exemplar', 'explanation', 'explanation_skip', 'explanation_summary', 'score', 'circuit_edge'];

const withModel = (work: (catalog: TestCatalog) => Promise<void>): Promise<void> =>
  withCatalog(async (catalog) => {
    await catalog.writer.loadModel(MODEL, TOKENS);
    await work(catalog);
  });

/** Everything in the big tables, for saying that nothing changed. */
async function content(catalog: TestCatalog): Promise<unknown> {
  const tables = await Promise.all(BIG_TABLES.map((table) => catalog.sql(`SELECT md5(string_agg(t::text, ';' ORDER BY t::text)) AS hash, count(*)::int AS n FROM "${table}" t`)));
  return [tables, await catalog.reader.dictionaries({})];
}

function caller(code: CallerErrorCode, message: RegExp) {
  return (error: unknown): boolean => {
    assert.ok(error instanceof CallerError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, message);
    return true;
  };
}

test('a model is inserted, then updated, and its tokens replaced', () =>
  withModel(async ({ reader, writer }) => {
    assert.deepEqual(await reader.models(), [MODEL]);
    assert.deepEqual(await reader.tokens('toy', [0, 299, 300]), ['a␀b', ' token299', null]);
    await writer.loadModel({ ...MODEL, layers: 6, parameters: 6_900_000_000 }, ['only']);
    assert.deepEqual(await reader.models(), [{ ...MODEL, layers: 6, parameters: 6_900_000_000 }]);
    assert.deepEqual(await reader.tokens('toy', [0, 1]), ['only', null]);
  }));

test('what is loaded is read back, number for number', () =>
  withModel(async ({ reader, writer }) => {
    const wide = makeFeature(1, { exemplars: [{ ...makeExemplar('top', 0), ids: [70_000, 1, 2, 3, 4, 5] }] });
    const features = [makeFeature(0), wide, makeFeature(2, { exemplars: [] })];
    const outcomes = [makeExplanation(0, 'first', 0.5), makeExplanation(1, 'second', null), { kind: 'skipped', index: 2, reason: 'too rare' } as const];
    const counts = await writer.loadDictionary(makeLoad('1-a', 3, outcomes, { features: stream(features) }));
    assert.deepEqual(counts, { features: 3, exemplars: 5, explanations: 2 });
    const [dictionary] = await reader.dictionaries({ model: 'toy' });
    const keys = features.map(({ index }) => ({ dictionaryId: dictionary!.id, index }));
    assert.deepEqual(
      await reader.features(keys),
      features.map((feature, i) => {
        const { exemplars: _, ...row } = feature;
        return { dictionaryId: dictionary!.id, ...row, bestScore: i === 0 ? 0.5 : null };
      }),
    );
    const exemplars = await reader.exemplars(keys, ['top', 'quantile', 'random'], 100);
    for (const [i, feature] of features.entries()) {
      const sorted = ['top', 'quantile', 'random'].flatMap((kind) => feature.exemplars.filter((exemplar) => exemplar.kind === kind).sort((a, b) => a.rank - b.rank));
      assert.deepEqual(exemplars[i], sorted);
    }
    const [explanations] = await reader.explanations([keys[0]!]);
    const source = outcomes[0]!;
    assert.ok(source.kind === 'explained');
    const { detail: _, fragments, ...explanation } = source.explanation;
    const scores = [...explanation.scores].sort((a, b) => (a.scorer < b.scorer ? -1 : 1));
    assert.deepEqual(explanations, [{ ...keys[0], ...explanation, run: 'run-explain', scores: scores.map(({ fragments: __, ...score }) => score) }]);
    const [texts] = await reader.explanationTexts([keys[0]!]);
    const judgedOn = scores.map(({ scorer, judge, fragments: text }) => ({ scorer, judge, fragments: text }));
    assert.deepEqual(texts, [{ ...keys[0], explainer: 'pattern-v1', madeFrom: fragments, judgedOn }]);
    assert.deepEqual(await reader.skips(keys), [[], [], [{ ...keys[2], explainer: 'pattern-v1', reason: 'too rare', run: 'run-explain' }]]);
    assert.deepEqual(await reader.runs(['run-explain', 'run-train']), [makeRun('explain'), makeRun('train')]);
  }));

test('every architecture, k and a second hook point are read back, and replaced', () =>
  withModel(async ({ reader, writer }) => {
    const load = (more: Partial<DictionaryConfig>): Promise<unknown> => writer.loadDictionary(makeLoad('1-a', 2, [], { config: makeConfig('1-a', 2, more) }));
    const stored = async (): Promise<unknown> => {
      const [{ architecture, hookPoint, outputHookPoint, layer, k }] = await reader.dictionaries({});
      return { architecture, hookPoint, outputHookPoint, layer, k };
    };
    for (const architecture of [...TRAINABLE_ARCHITECTURES, ...BASELINE_ARCHITECTURES]) {
      const place = { architecture, hookPoint: 'mlp_in.1', outputHookPoint: 'mlp_out.1', k: 32 } as const;
      await load(place);
      assert.deepEqual(await stored(), { ...place, layer: 1 });
    }
    await load({});
    assert.deepEqual(await stored(), { architecture: 'tied', hookPoint: 'resid_post.1', outputHookPoint: null, layer: 1, k: null });
  }));

test('replacing keeps the id, drops what is gone, and readers see the old until the new is whole', () =>
  withModel(async (catalog) => {
    const { reader, writer } = catalog;
    await writer.loadDictionary(makeLoad('1-a', 30, [makeExplanation(3, 'old', 0.5)]));
    const [before] = await reader.dictionaries({});
    const old = await content(catalog);
    async function* features(): AsyncGenerator<FeatureAnalysis> {
      yield makeFeature(0, { density: 1 });
      // In the middle of the load, on another connection.
      assert.deepEqual(await content(catalog), old);
      yield makeFeature(1);
    }
    await writer.loadDictionary(makeLoad('1-a', 2, [makeExplanation(0, 'new', 0.25)], { features: features() }));
    const [after] = await reader.dictionaries({});
    assert.equal(after!.id, before!.id);
    assert.equal(after!.nFeatures, 2);
    const keys = [0, 3].map((index) => ({ dictionaryId: after!.id, index }));
    const [first, gone] = await reader.features(keys);
    assert.equal(first?.density, 1);
    assert.equal(gone, null);
    assert.deepEqual((await reader.explanations(keys)).map((list) => list.map((explanation) => explanation.description)), [['new'], []]);
  }));

const NAN = Number.NaN;
const badFeature = (more: Partial<FeatureAnalysis>): Partial<DictionaryLoad> => ({ features: stream([makeFeature(0), makeFeature(1, more)]) });
const badScore = (value: number | null, undefinedReason: string | null): Partial<DictionaryLoad> => {
  const outcome = makeExplanation(1, 'bad', 0.5);
  assert.ok(outcome.kind === 'explained');
  const scores = [{ scorer: 's', judge: 'j', promptVersion: null, fragments: [], value, undefinedReason, n: 1, low: null, high: null }];
  return { explanations: explainedBy([{ kind: 'explained', explanation: { ...outcome.explanation, scores } }]) };
};
/** As files of an earlier version hold it. */
const beforeJudges = (): ExplainOutcome => {
  const outcome = makeExplanation(1, 'x', 0.5);
  assert.ok(outcome.kind === 'explained');
  const scores = outcome.explanation.scores.map(({ scorer, value, undefinedReason, n, low, high }) => ({ scorer, value, undefinedReason, n, low, high }));
  return { kind: 'explained', explanation: { ...outcome.explanation, scores } } as unknown as ExplainOutcome;
};
const REFUSED: readonly (readonly [string, Partial<DictionaryLoad>, CallerErrorCode, RegExp])[] = [
  ['NaN density', badFeature({ density: NAN }), 'BAD_INPUT', /feature 1: density is NaN/],
  ['infinite maximum', badFeature({ maxActivation: Infinity }), 'BAD_INPUT', /maximum activation is Infinity/],
  ['a number that JSON lost', badFeature({ density: null as unknown as number }), 'BAD_INPUT', /density is null/],
  ['NaN logit', badFeature({ topLogits: [{ id: 1, value: NAN }] }), 'BAD_INPUT', /token logit is NaN/],
  ['too large for float32', badFeature({ neighbours: [{ index: 1, cosine: 1e300 }] }), 'BAD_INPUT', /cosine is 1e\+300/],
  ['NaN activation', badFeature({ exemplars: [{ ...makeExemplar('top', 0, 2), activations: [NAN, 1] }] }), 'BAD_INPUT', /activation of an exemplar is NaN/],
  ['tokens and activations of other lengths', badFeature({ exemplars: [{ ...makeExemplar('top', 0, 2), activations: [1] }] }), 'BAD_INPUT', /2 tokens and 1 activations/],
  ['unknown kind of exemplar', badFeature({ exemplars: [makeExemplar('best' as 'top', 0)] }), 'BAD_INPUT', /no known kind/],
  ['histogram of wrong shape', badFeature({ histogram: { edges: [1], counts: [1] } }), 'BAD_INPUT', /one more edge/],
  ['index beyond the dictionary', badFeature({ index: 2 }), 'BAD_INPUT', /index of a feature is 2/],
  ['a feature twice', badFeature({ index: 0 }), 'BAD_INPUT', /feature 0 comes twice/],
  ['NaN score', badScore(NAN, null), 'BAD_INPUT', /s of feature 1 by pattern-v1 is NaN/],
  ['a score without value or reason', badScore(null, null), 'BAD_INPUT', /either a value or the reason/],
  ['an explanation twice', { explanations: explainedBy([makeExplanation(1, 'x', 0), makeExplanation(1, 'y', 0)]) }, 'BAD_INPUT', /feature 1 comes twice in what pattern-v1/],
  ['an explanation of no feature', { features: stream([makeFeature(0)]), explanations: explainedBy([makeExplanation(1, 'x', 0)]) }, 'BAD_INPUT', /feature 1 has an explanation, but no analysis/],
  ['an explanation of another explainer', { explanations: [{ explainer: 'other', run: makeRun('explain'), outcomes: stream([makeExplanation(1, 'x', 0)]) }] }, 'BAD_INPUT', /by pattern-v1: expected an explanation by other/],
  ['an explanation of before judges were named', { explanations: explainedBy([beforeJudges()]) }, 'STALE_OUTPUT', /does not say who judged it/],
  ['an unknown model', { config: makeConfig('1-a', 2, { model: 'other' }) }, 'NOT_FOUND', /no model "other"/],
  ['an output hook point beyond the model', { config: makeConfig('1-a', 2, { outputHookPoint: 'mlp_out.4' }) }, 'BAD_INPUT', /layers 0 to 3/],
  ['a k that is no count', { config: makeConfig('1-a', 2, { k: 1.5 }) }, 'BAD_INPUT', /k of dictionary toy\/1-a/],
  ['a hook point beyond the model', { config: makeConfig('1-a', 2, { hookPoint: 'resid_post.4' }) }, 'BAD_INPUT', /layers 0 to 3/],
];

test('bad input is refused in words, and what was there stays', () =>
  withModel(async (catalog) => {
    await catalog.writer.loadDictionary(makeLoad('1-a', 5, [makeExplanation(3, 'old', 0.5)]));
    const old = await content(catalog);
    for (const [what, more, code, message] of REFUSED) {
      await assert.rejects(catalog.writer.loadDictionary(makeLoad('1-a', 2, [], more)), caller(code, message), what);
      assert.deepEqual(await content(catalog), old, what);
    }
  }));

test('a source that fails rolls back, and the writer goes on', () =>
  withModel(async (catalog) => {
    async function* features(): AsyncGenerator<FeatureAnalysis> {
      yield makeFeature(0);
      throw new CallerError('BAD_INPUT', 'torn file');
    }
    await assert.rejects(catalog.writer.loadDictionary(makeLoad('1-a', 2, [], { features: features() })), caller('BAD_INPUT', /torn file/));
    assert.deepEqual(await catalog.reader.dictionaries({}), []);
    assert.equal((await catalog.writer.loadDictionary(makeLoad('1-a', 2))).features, 2);
  }));

test('a process killed in mid-load leaves the old, and the load can be repeated', () =>
  withModel(async (catalog) => {
    await catalog.writer.loadDictionary(makeLoad('1-a', 5, [makeExplanation(3, 'old', 0.5)]));
    const old = await content(catalog);
    const child = spawn(process.execPath, [SLOW_LOADER, catalog.url], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
    assert.deepEqual(await content(catalog), old);
    assert.equal((await catalog.writer.loadDictionary(makeLoad('1-a', 9))).features, 9);
  }));

test('loads of one dictionary at the same time take turns', () =>
  withModel(async ({ reader, writer, sql }) => {
    const sizes = [40, 50, 60];
    await Promise.all(sizes.map((n) => writer.loadDictionary(makeLoad('1-a', n))));
    const [dictionary, ...others] = await reader.dictionaries({});
    assert.deepEqual(others, []);
    assert.deepEqual(await sql('SELECT count(*)::int AS n, max("index") + 1 AS top FROM feature'), [{ n: dictionary!.nFeatures, top: dictionary!.nFeatures }]);
  }));

const edge = (source: string, sourceIndex: number, target: string, targetIndex: number, effect: number): CircuitEdge => ({
  sourceDictionary: source, sourceIndex, targetDictionary: target, targetIndex, effect, standardError: 0.125, n: 20,
}); // prettier-ignore

test('edges: replaced whole, refused whole, and gone with the weights they were measured on', () =>
  withModel(async ({ reader, writer }) => {
    await writer.loadDictionary(makeLoad('1-a', 5));
    await writer.loadDictionary(makeLoad('2-a', 5));
    const run = makeRun('circuits');
    assert.deepEqual(await writer.loadCircuits('toy', [{ run, edges: [edge('1-a', 0, '2-a', 1, 0.5), edge('1-a', 1, '2-a', 1, -0.75), edge('1-a', 2, '2-a', 3, 0.25)] }]), { edges: 3, outputs: 0 });
    assert.deepEqual(await writer.loadCircuits('toy', [{ run, edges: stream([edge('1-a', 0, '2-a', 1, 0.5), edge('1-a', 1, '2-a', 1, -0.75)]) }]), { edges: 2, outputs: 0 });
    const [one, two] = await reader.dictionaries({});
    const target = { dictionaryId: two!.id, index: 1 };
    const effects = async (): Promise<number[]> => (await reader.edges([target], 'incoming', 10))[0]!.map((found) => found.effect);
    assert.deepEqual(await effects(), [-0.75, 0.5]);
    assert.deepEqual(await reader.edges([{ dictionaryId: one!.id, index: 0 }], 'outgoing', 10), [
      [{ source: { dictionaryId: one!.id, index: 0 }, target, effect: 0.5, standardError: 0.125, n: 20, run: run.key }],
    ]);
    await assert.rejects(writer.loadCircuits('toy', [{ run, edges: [edge('1-a', 0, '2-a', 1, 1), edge('1-a', 0, '2-a', 1, 1)] }]), caller('BAD_INPUT', /twice/));
    await assert.rejects(writer.loadCircuits('toy', [{ run, edges: [edge('1-a', 0, '9-z', 1, 1)] }]), caller('NOT_FOUND', /toy\/9-z/));
    await assert.rejects(writer.loadCircuits('toy', [{ run, edges: [edge('1-a', 5, '2-a', 1, 1)] }]), caller('BAD_INPUT', /feature of an edge in toy\/1-a is 5/));
    await assert.rejects(writer.loadCircuits('toy', [{ run, edges: [edge('1-a', 0, '2-a', 1, NAN)] }]), caller('BAD_INPUT', /effect of edge .* is NaN/));
    // The same weights again: edges hold. Others: they do not.
    await writer.loadDictionary(makeLoad('1-a', 5));
    assert.deepEqual(await effects(), [-0.75, 0.5]);
    await writer.loadDictionary(makeLoad('1-a', 5, [], { config: makeConfig('1-a', 5, { weightsHash: 'dd'.repeat(32) }) }));
    assert.deepEqual(await effects(), []);
  }));

test('edges of one set leave those of another set of the model', () =>
  withModel(async ({ reader, writer }) => {
    for (const name of ['1-a', '2-a', '1-b', '2-b']) await writer.loadDictionary(makeLoad(name, 5));
    const run = makeRun('circuits');
    await writer.loadCircuits('toy', [{ run, edges: [edge('1-a', 0, '2-a', 1, 0.5)] }], ['1-a', '2-a']);
    await writer.loadCircuits('toy', [{ run, edges: [edge('1-b', 0, '2-b', 1, 0.25)] }], ['1-b', '2-b']);
    await writer.loadCircuits('toy', [{ run, edges: [edge('1-a', 3, '2-a', 1, 0.75)] }], ['1-a', '2-a']);
    const targets = (await reader.dictionaries({})).filter(({ name }) => name.startsWith('2-')).map(({ id }) => ({ dictionaryId: id, index: 1 }));
    assert.deepEqual((await reader.edges(targets, 'incoming', 10)).map((found) => found.map(({ effect }) => effect)), [[0.75], [0.25]]);
    await assert.rejects(writer.loadCircuits('toy', [{ run, edges: [edge('1-a', 0, '2-b', 1, 1)] }], ['1-a', '2-a']), caller('BAD_INPUT', /toy\/2-b: expected one of 1-a, 2-a/));
  }));
