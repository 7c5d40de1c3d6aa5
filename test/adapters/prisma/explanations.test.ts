import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { CallerError } from '../../../src/domain/errors.ts';
import type { CallerErrorCode } from '../../../src/domain/errors.ts';
import type { Explanation, ExplainOutcome, Score } from '../../../src/domain/feature.ts';
import { ExplainTally } from '../../../src/interp/explainSummary.ts';
import { MODEL, TOKENS, explainedBy, makeConfig, makeExplanation, makeLoad, makeRun, stream } from '../../helpers/catalogData.ts';
import { withCatalog } from '../../helpers/withCatalog.ts';
import type { TestCatalog } from '../../helpers/withCatalog.ts';

const SLOW_EXPLAINER = fileURLToPath(new URL('slowExplainer.ts', import.meta.url));
const LLM = 'token-act-pair-v1@meta-llama/Llama-3.2-1B';
const TARGET = { model: 'toy', dictionary: '1-a', weightsHash: makeConfig('1-a', 1).weightsHash };
const JUDGED = { judge: 'gpt-4o-mini', promptVersion: 'simulate-v1', undefinedReason: null, n: 64, low: 0.25, high: 0.5, fragments: [{ row: 7, start: 64, length: 64 }] };

function explanation(index: number, description: string, scores: readonly Partial<Score>[], explainer = LLM): Explanation {
  return {
    index, explainer, model: 'meta-llama/Llama-3.2-1B', promptVersion: 'token-act-pair-v1', description, detail: null,
    fragments: [{ row: 2, start: 0, length: 64 }, { row: 1, start: 64, length: 64 }],
    scores: scores.map((score) => ({ ...JUDGED, scorer: 'simulation-top-random', value: 0.5, ...score })),
  }; // prettier-ignore
}
const explained = (one: Explanation): ExplainOutcome => ({ kind: 'explained', explanation: one });

/** Dictionary 1-a of six features, two of them explained by the pattern explainer. */
const withPatterns = (work: (catalog: TestCatalog, id: number) => Promise<void>): Promise<void> =>
  withCatalog(async (catalog) => {
    await catalog.writer.loadModel(MODEL, TOKENS);
    await catalog.writer.loadDictionary(makeLoad('1-a', 6, [makeExplanation(0, 'commas', 0.25), makeExplanation(1, 'names', 0.75), { kind: 'skipped', index: 2, reason: 'too rare' }]));
    const [dictionary] = await catalog.reader.dictionaries({});
    await work(catalog, dictionary!.id);
  });

const load = (outcomes: readonly ExplainOutcome[], run = makeRun('explain', 'llm')) => ({ explainer: LLM, run, outcomes: stream(outcomes) });

async function bestScores({ reader }: TestCatalog, id: number): Promise<(number | null)[]> {
  return (await reader.features([0, 1, 2, 3].map((index) => ({ dictionaryId: id, index })))).map((row) => row!.bestScore);
}

async function described({ reader }: TestCatalog, id: number): Promise<string[][]> {
  const lists = await reader.explanations([0, 1, 2, 3].map((index) => ({ dictionaryId: id, index })));
  return lists.map((list) => list.map(({ description }) => description));
}

async function content({ sql }: TestCatalog): Promise<unknown> {
  return Promise.all(
    ['feature', 'exemplar', 'explanation', 'explanation_skip', 'explanation_summary', 'score', 'run'].map((table) => sql(`SELECT md5(string_agg(t::text, ';' ORDER BY t::text)) AS hash, count(*)::int AS n FROM "${table}" t`)),
  );
}

const refuses = (code: CallerErrorCode, message: RegExp) => (error: unknown) => error instanceof CallerError && error.code === code && message.test(error.message);

test('an explainer is added beside another without writing features again, and replaced alone', () =>
  withPatterns(async (catalog, id) => {
    const { reader, writer, sql } = catalog;
    const versions = () => sql(`SELECT "index", xmin::text AS version FROM feature WHERE "index" IN (1, 4) UNION ALL SELECT "index", xmin::text FROM exemplar WHERE "index" = 0 ORDER BY 1, 2`);
    const before = await versions();
    const outcomes = [explained(explanation(0, 'lists', [{ value: 0.5 }])), explained(explanation(3, 'verbs', [{ value: null, undefinedReason: 'constant', low: null, high: null }])), { kind: 'skipped', index: 1, reason: 'no reply' } as const];
    assert.deepEqual(await writer.loadExplanations(TARGET, load(outcomes)), { explanations: 2, skipped: 1 });
    assert.deepEqual(await bestScores(catalog, id), [0.5, 0.75, null, null]);
    assert.deepEqual(await described(catalog, id), [['commas', 'lists'], ['names'], [], ['verbs']]);
    assert.deepEqual(await versions(), before, 'features that did not change, and exemplars, are the rows they were');
    const keys = [1, 2].map((index) => ({ dictionaryId: id, index }));
    assert.deepEqual((await reader.skips(keys)).map((list) => list.map(({ explainer, reason }) => [explainer, reason])), [[[LLM, 'no reply']], [['pattern-v1', 'too rare']]]);
    assert.deepEqual((await reader.featurePage({ dictionaryIds: [id], explained: true }, 'INDEX', 9, null)).rows.map(({ index }) => index), [0, 1, 3]);
    assert.deepEqual((await reader.runs(['run-llm'])).map((run) => run?.key), ['run-llm']);

    await writer.loadExplanations(TARGET, load([explained(explanation(1, 'cities', [{ value: 0.875 }]))]));
    assert.deepEqual(await described(catalog, id), [['commas'], ['names', 'cities'], [], []]);
    assert.deepEqual(await bestScores(catalog, id), [0.25, 0.875, null, null]);
    assert.deepEqual((await reader.skips(keys))[0], []);
  }));

test('what an explanation was made from and how it was judged is read back', () =>
  withPatterns(async ({ reader, writer }, id) => {
    const text = [{ row: 2, start: 64, length: 64 }, { row: 7, start: 0, length: 64 }];
    const judges = ['detector@host:8000', 'gpt-4o-mini'].map((judge, i) => ({ judge, value: i === 1 ? 0.5 : 0.625, fragments: i === 1 ? text.toReversed() : text }));
    const one = explanation(4, 'lists', [...judges, { scorer: 'simulation-undefined', value: null, undefinedReason: 'constant', low: null, high: null, fragments: [] }]);
    await writer.loadExplanations(TARGET, load([explained(one)]));
    const keys = [{ dictionaryId: id, index: 4 }];
    const [[found]] = await reader.explanations(keys);
    const { detail: _, fragments, scores, ...rest } = one;
    assert.deepEqual(found, { dictionaryId: id, ...rest, run: 'run-llm', scores: scores.map(({ fragments: __, ...score }) => score) });
    const judgedOn = scores.map(({ scorer, judge }) => ({ scorer, judge, fragments: scorer === 'simulation-undefined' ? [] : text }));
    assert.deepEqual(await reader.explanationTexts(keys), [[{ ...keys[0], explainer: LLM, madeFrom: fragments, judgedOn }]]);
    assert.deepEqual((await reader.features(keys))[0]?.bestScore, 0.625, 'the best of any judge');
  }));

test('only the simulation of top and random fragments ranks', () =>
  withPatterns(async (catalog, id) => {
    await catalog.writer.loadExplanations(TARGET, load([explained(explanation(3, 'verbs', [{ scorer: 'detection-balanced-accuracy', value: 1 }, { scorer: 'simulation-random', value: 0.875 }]))]));
    assert.deepEqual(await bestScores(catalog, id), [0.25, 0.75, null, null]);
  }));

test('the summary is what the stage counts, by scorer and judge', () =>
  withPatterns(async ({ reader, writer }, id) => {
    const undefinedScore = { value: null, undefinedReason: 'constant activations', low: null, high: null };
    const outcomes: ExplainOutcome[] = [
      explained(explanation(0, 'a', [{ value: 0.1 }, { scorer: 'detection', judge: 'b', value: 0.9 }])),
      explained(explanation(1, 'b', [{ value: 0.7 }, { scorer: 'detection', judge: 'b', ...undefinedScore }])),
      explained(explanation(2, 'c', [{ value: -0.2 }, { judge: 'another', value: 0.3 }, { scorer: 'fuzzing', ...undefinedScore }])),
      { kind: 'skipped', index: 3, reason: 'too rare' },
      { kind: 'skipped', index: 4, reason: 'no reply' },
      { kind: 'skipped', index: 5, reason: 'no reply' },
    ];
    await writer.loadExplanations(TARGET, load(outcomes));
    const [[pattern, llm], none] = await reader.explanationSummaries([id, 999]);
    assert.deepEqual(none, []);
    assert.deepEqual([pattern?.explainer, pattern?.features, pattern?.explained], ['pattern-v1', 3, 2]);
    assert.ok(llm !== undefined);
    const { scores, ...rest } = llm;
    assert.deepEqual(rest, { dictionaryId: id, explainer: LLM, run: 'run-llm', features: 6, explained: 3, skips: [{ reason: 'no reply', count: 2 }, { reason: 'too rare', count: 1 }] });
    const tally = new ExplainTally();
    for (const outcome of outcomes) tally.add(outcome);
    const expected = tally.summary().scores;
    assert.deepEqual(scores.map(({ scorer, judge }) => [scorer, judge]), [['detection', 'b'], ['fuzzing', 'gpt-4o-mini'], ['simulation-top-random', 'another'], ['simulation-top-random', 'gpt-4o-mini']]);
    const close = (a: number | null, b: number | null): void => assert.ok(a === b || (a !== null && b !== null && Math.abs(a - b) < 1e-12), `${a} is not ${b}`);
    for (const found of scores) {
      const { ofScored, skippedAsZero, undefined: reasons } = expected.find((one) => one.scorer === found.scorer && one.judge === found.judge)!;
      for (const [a, b] of [[found, ofScored], [found.zero, skippedAsZero]] as const) {
        assert.equal(a.n, b.n);
        close(a.mean, b.mean);
        close(a.halfWidth, b.halfWidth);
      }
      assert.deepEqual(Object.fromEntries(found.undefined.map(({ reason, count }) => [reason, count])), reasons);
    }
  }));

test('a reload keeps what other explainers said while the weights are the same', () =>
  withPatterns(async (catalog, id) => {
    const { reader, writer } = catalog;
    await writer.loadExplanations(TARGET, load([explained(explanation(0, 'lists', [{ value: 0.5 }]))]));
    await writer.saveExplanation(TARGET, makeRun('explain', 'one'), explanation(3, 'on demand', [{ value: 0.125 }], 'max-act-v1@x'));
    await writer.loadDictionary(makeLoad('1-a', 6, [makeExplanation(0, 'new commas', 0.375)]));
    assert.deepEqual(await described(catalog, id), [['new commas', 'lists'], [], [], ['on demand']]);
    assert.deepEqual(await bestScores(catalog, id), [0.5, null, null, 0.125]);
    await writer.loadDictionary(makeLoad('1-a', 6, [], { config: makeConfig('1-a', 6, { weightsHash: 'ff'.repeat(32) }) }));
    assert.deepEqual(await described(catalog, id), [[], [], [], []]);
    assert.deepEqual(await bestScores(catalog, id), [null, null, null, null]);
    assert.deepEqual(await reader.explanationSummaries([id]), [[]]);
  }));

test('one explanation: stored, stored again, and with other words', () =>
  withPatterns(async (catalog, id) => {
    const { reader, writer, search } = catalog;
    const run = makeRun('explain', 'one');
    const save = (one: Explanation): Promise<void> => writer.saveExplanation(TARGET, run, one);
    await writer.loadExplanations(TARGET, load([explained(explanation(0, 'lists', [{ value: 0.5 }])), { kind: 'skipped', index: 2, reason: 'no reply' }]));
    const [summary] = await reader.explanationSummaries([id]);
    await save(explanation(2, 'giraffes', [{ value: 0.25 }]));
    assert.deepEqual(await bestScores(catalog, id), [0.5, 0.75, 0.25, null]);
    assert.deepEqual((await reader.skips([{ dictionaryId: id, index: 2 }]))[0]!.map(({ explainer }) => explainer), ['pattern-v1']);
    assert.deepEqual((await search.search({ query: 'girafes', prefix: null, explainers: null, dictionaryIds: null, minScore: null, first: 5, after: null })).hits.map(({ index }) => index), [2]);
    const before = await content(catalog);
    await save(explanation(2, 'giraffes', [{ value: 0.25 }]));
    assert.deepEqual(await content(catalog), before);

    const scores = async (): Promise<unknown> => (await reader.explanations([{ dictionaryId: id, index: 2 }]))[0]!.flatMap((one) => one.scores.map(({ scorer, judge, value }) => [scorer, judge, value]));
    const elsewhere = [{ row: 1, start: 0, length: 64 }];
    await save(explanation(2, 'giraffes', [{ scorer: 'detection', value: 0.75, fragments: elsewhere }]));
    const [[texts]] = await reader.explanationTexts([{ dictionaryId: id, index: 2 }]);
    assert.deepEqual(texts?.judgedOn.map(({ fragments }) => fragments), [elsewhere, JUDGED.fragments]);
    assert.deepEqual(await scores(), [['detection', 'gpt-4o-mini', 0.75], ['simulation-top-random', 'gpt-4o-mini', 0.25]]);
    await save(explanation(2, 'zebras', [{ scorer: 'fuzzing', value: 0.875 }]));
    assert.deepEqual(await scores(), [['fuzzing', 'gpt-4o-mini', 0.875]]);
    assert.deepEqual(await bestScores(catalog, id), [0.5, 0.75, null, null]);
    assert.deepEqual((await reader.explanationSummaries([id]))[0], summary, 'a run over the dictionary is summed up, not single explanations');
  }));

test('one skip: stored with its run, and stored again; an explanation by the same explainer stays in its place', () =>
  withPatterns(async (catalog, id) => {
    const { reader, writer } = catalog;
    const skips = async (index: number): Promise<unknown> => (await reader.skips([{ dictionaryId: id, index }]))[0]!.map(({ explainer, reason, run }) => [explainer, reason, run]);
    await writer.saveSkip(TARGET, makeRun('explain', 'one'), { index: 3, explainer: LLM, reason: 'no reply' });
    assert.deepEqual(await skips(3), [[LLM, 'no reply', 'run-one']]);
    await writer.saveSkip(TARGET, makeRun('explain', 'two'), { index: 3, explainer: LLM, reason: 'too rare' });
    assert.deepEqual(await skips(3), [[LLM, 'too rare', 'run-two']]);
    await writer.saveExplanation(TARGET, makeRun('explain', 'three'), explanation(3, 'verbs', []));
    assert.deepEqual(await skips(3), []);
    const before = await content(catalog);
    await writer.saveSkip(TARGET, makeRun('explain', 'four'), { index: 3, explainer: LLM, reason: 'no reply' });
    assert.deepEqual(await content(catalog), before);
    await assert.rejects(writer.saveSkip(TARGET, makeRun('explain', 'four'), { index: 6, explainer: LLM, reason: 'x' }), refuses('BAD_INPUT', /is 6/));
    await assert.rejects(writer.saveSkip({ ...TARGET, weightsHash: 'ff' }, makeRun('explain', 'four'), { index: 4, explainer: LLM, reason: 'x' }), refuses('STALE_OUTPUT', /other weights/));
    assert.deepEqual(await content(catalog), before);
  }));

test('explanations of another dictionary, other weights or no feature are refused, and nothing is stored', () =>
  withPatterns(async (catalog) => {
    const { writer } = catalog;
    const before = await content(catalog);
    const run = makeRun('explain', 'other');
    const good = explanation(0, 'x', [{}]);
    await assert.rejects(writer.loadExplanations({ ...TARGET, dictionary: '9-z' }, load([explained(good)], run)), refuses('NOT_FOUND', /toy\/9-z/));
    await assert.rejects(writer.loadExplanations({ ...TARGET, weightsHash: 'ff' }, load([explained(good)], run)), refuses('STALE_OUTPUT', /other weights/));
    await assert.rejects(writer.loadExplanations(TARGET, load([explained(explanation(6, 'x', []))], run)), refuses('BAD_INPUT', /index of an explained feature is 6/));
    await assert.rejects(writer.loadExplanations(TARGET, load([explained(explanation(0, 'x', [], 'other'))], run)), refuses('BAD_INPUT', /expected an explanation by token-act-pair/));
    await assert.rejects(writer.loadExplanations(TARGET, load([explained(explanation(0, 'x', [{ scorer: 's' }, { scorer: 's' }]))], run)), refuses('BAD_INPUT', /same row comes twice/));
    await assert.rejects(writer.saveExplanation({ ...TARGET, weightsHash: 'ff' }, run, good), refuses('STALE_OUTPUT', /other weights/));
    await assert.rejects(writer.saveExplanation(TARGET, run, explanation(6, 'x', [])), refuses('BAD_INPUT', /is 6/));
    await assert.rejects(writer.saveExplanation(TARGET, run, explanation(0, 'x', [{ value: Number.NaN }])), refuses('BAD_INPUT', /NaN/));
    assert.deepEqual(await content(catalog), before);
  }));

test('a process killed while it adds explanations leaves the old', () =>
  withPatterns(async (catalog) => {
    await catalog.writer.loadExplanations(TARGET, load([explained(explanation(0, 'lists', [{ value: 0.5 }]))]));
    const before = await content(catalog);
    const child = spawn(process.execPath, [SLOW_EXPLAINER, catalog.url], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    assert.deepEqual(await content(catalog), before, 'a reader sees the old meanwhile');
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
    assert.deepEqual(await content(catalog), before);
    assert.equal((await catalog.writer.loadExplanations(TARGET, load([]))).explanations, 0);
  }));

test('explainers added at the same time all stay', () =>
  withPatterns(async (catalog, id) => {
    const names = ['a', 'b', 'c'];
    const add = (name: string, i: number): Promise<unknown> => {
      const one = explanation(3, `by ${name}`, [{ value: i / 4 }], name);
      return i === 1 ? catalog.writer.saveExplanation(TARGET, makeRun('explain', name), one) : catalog.writer.loadExplanations(TARGET, { explainer: name, run: makeRun('explain', name), outcomes: stream([explained(one)]) });
    };
    await Promise.all([...names.map(add), catalog.writer.loadDictionary(makeLoad('1-a', 6, [], { explanations: explainedBy([makeExplanation(3, 'by pattern', 0.125)]) }))]);
    assert.deepEqual((await described(catalog, id))[3], ['by a', 'by b', 'by c', 'by pattern']);
    assert.equal((await bestScores(catalog, id))[3], 0.5);
  }));
