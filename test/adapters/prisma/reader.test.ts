import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CallerError } from '../../../src/domain/errors.ts';
import type { ExplainOutcome, FeatureAnalysis } from '../../../src/domain/feature.ts';
import type { PatchRun } from '../../../src/domain/patch.ts';
import type { CatalogReader, FeatureCursor, FeatureFilter, FeatureOrder, FeatureRow } from '../../../src/ports/CatalogReader.ts';
import { MODEL, makeConfig, makeExplanation, makeFeature, makeLoad, makeRun, stream } from '../../helpers/catalogData.ts';
import { withCatalog } from '../../helpers/withCatalog.ts';
import type { TestCatalog } from '../../helpers/withCatalog.ts';

const ORDERS: readonly FeatureOrder[] = ['INDEX', 'DENSITY_ASC', 'DENSITY_DESC', 'MAX_ACTIVATION_DESC', 'SCORE_DESC'];
const SIZES = [23, 17, 29];

/** Scores with ties, and a third of the features without. */
const outcomes = (n: number): ExplainOutcome[] =>
  Array.from({ length: n }, (_, index) => index)
    .filter((index) => index % 3 !== 0)
    .map((index) => makeExplanation(index, `feature ${index}`, index % 7 === 0 ? null : (index % 4) / 4));

/** Three dictionaries of different sizes, with edges from the first to the second. */
const withData = (work: (catalog: TestCatalog, ids: readonly number[]) => Promise<void>): Promise<void> =>
  withCatalog(async (catalog) => {
    await catalog.writer.loadModel(MODEL, [' a', ' b', '</w>']);
    const names = ['0-a', '1-a', '2-a'];
    for (const [i, name] of names.entries()) await catalog.writer.loadDictionary(makeLoad(name, SIZES[i]!, outcomes(SIZES[i]!), { config: makeConfig(name, SIZES[i]!, { hookPoint: `resid_post.${i}` }) }));
    const edges = Array.from({ length: 12 }, (_, i) => ({ sourceDictionary: '0-a', sourceIndex: i, targetDictionary: '1-a', targetIndex: i % 2, effect: ((i * 5) % 12) / 8 - 0.5, standardError: 0.5, n: 3 }));
    await catalog.writer.loadCircuits('toy', [{ run: makeRun('circuits'), edges }]);
    const dictionaries = await catalog.reader.dictionaries({ model: 'toy' });
    await work(catalog, dictionaries.map((dictionary) => dictionary.id));
  });

async function allPages(reader: CatalogReader, filter: FeatureFilter, order: FeatureOrder, first: number): Promise<FeatureRow[]> {
  const rows: FeatureRow[] = [];
  let after: FeatureCursor | null = null;
  for (;;) {
    const page = await reader.featurePage(filter, order, first, after);
    rows.push(...page.rows);
    assert.ok(page.rows.length <= first);
    if (!page.hasNext) return rows;
    assert.equal(page.rows.length, first, 'a page before the last is full');
    const last = page.rows.at(-1)!;
    after = { value: valueOf(last, order), dictionaryId: last.dictionaryId, index: last.index };
  }
}

function valueOf(row: FeatureRow, order: FeatureOrder): number | null {
  if (order === 'INDEX') return null;
  if (order === 'MAX_ACTIVATION_DESC') return row.maxActivation;
  return order === 'SCORE_DESC' ? row.bestScore : row.density;
}

/** The order, said plainly. */
function sorted(rows: readonly FeatureRow[], order: FeatureOrder): FeatureRow[] {
  const rank = (row: FeatureRow): number => {
    const value = valueOf(row, order);
    if (order === 'INDEX') return 0;
    return value === null ? Infinity : order === 'DENSITY_ASC' ? value : -value;
  };
  const compare = (a: number, b: number): number => (a === b ? 0 : a < b ? -1 : 1);
  return [...rows].sort((a, b) => compare(rank(a), rank(b)) || a.dictionaryId - b.dictionaryId || a.index - b.index);
}

const place = ({ dictionaryId, index }: FeatureRow): string => `${dictionaryId}/${index}`;

test('batched reads answer in the order of the keys, with gaps, and repeat what is asked twice', () =>
  withData(async ({ reader }, [a, b]) => {
    const keys = [{ dictionaryId: b!, index: 4 }, { dictionaryId: a!, index: 1 }, { dictionaryId: a!, index: 999 }, { dictionaryId: 999, index: 0 }, { dictionaryId: b!, index: 4 }];
    const rows = await reader.features(keys);
    assert.deepEqual(rows.map((row) => row && place(row)), [`${b}/4`, `${a}/1`, null, null, `${b}/4`]);
    assert.deepEqual((await reader.explanations(keys)).map((list) => list.map((found) => found.description)), [['feature 4'], ['feature 1'], [], [], ['feature 4']]);
    assert.deepEqual((await reader.exemplars(keys, ['top'], 9)).map((list) => list.length), [2, 2, 0, 0, 2]);
    assert.deepEqual((await reader.edges(keys, 'incoming', 9)).map((list) => list.length), [0, 0, 0, 0, 0]);
    assert.deepEqual((await reader.dictionariesById([b!, 999, a!, b!])).map((row) => row?.name ?? null), ['1-a', null, '0-a', '1-a']);
    assert.deepEqual((await reader.runs(['run-analyse', 'none', 'run-train'])).map((run) => run?.stage ?? null), ['analyse', null, 'train']);
    assert.deepEqual(await reader.tokens('toy', [2, 7, 0, 2]), ['</w>', null, ' a', '</w>']);
    assert.deepEqual(await reader.tokens('none', [0]), [null]);
    assert.deepEqual([await reader.features([]), await reader.explanations([]), await reader.exemplars([], ['top'], 1), await reader.edges([], 'incoming', 1), await reader.tokens('toy', [])], [[], [], [], [], []]);
  }));

test('dictionaries are listed by model and layer', () =>
  withData(async ({ reader }) => {
    assert.deepEqual((await reader.dictionaries({})).map((row) => [row.model, row.name, row.layer]), [['toy', '0-a', 0], ['toy', '1-a', 1], ['toy', '2-a', 2]]);
    assert.deepEqual(await reader.dictionaries({ model: 'none' }), []);
  }));

test('exemplars: kinds as asked, by rank, as many of each as asked', () =>
  withData(async ({ reader }, [a]) => {
    const key = { dictionaryId: a!, index: 5 };
    const read = async (kinds: readonly ('top' | 'quantile' | 'random')[], limit: number): Promise<string[]> =>
      (await reader.exemplars([key], kinds, limit))[0]!.map(({ kind, rank }) => `${kind} ${rank}`);
    assert.deepEqual(await read(['top', 'quantile', 'random'], 9), ['top 0', 'top 1', 'quantile 2001', 'random 0']);
    assert.deepEqual(await read(['top', 'random'], 1), ['top 0', 'random 0']);
    assert.deepEqual(await read([], 9), []);
    assert.deepEqual(await read(['top'], 0), []);
  }));

test('edges: strongest first, both ways, limited per key', () =>
  withData(async ({ reader }, [a, b]) => {
    const targets = [0, 1, 2].map((index) => ({ dictionaryId: b!, index }));
    const incoming = await reader.edges(targets, 'incoming', 4);
    assert.deepEqual(incoming.map((list) => list.length), [4, 4, 0]);
    for (const list of incoming) {
      const strengths = list.map((edge) => Math.abs(edge.effect));
      assert.deepEqual(strengths, [...strengths].sort((x, y) => y - x));
    }
    const all = (await reader.edges(targets, 'incoming', 100)).flat();
    assert.equal(all.length, 12);
    assert.deepEqual(incoming[0], all.filter((edge) => edge.target.index === 0).slice(0, 4));
    const outgoing = await reader.edges([{ dictionaryId: a!, index: 3 }], 'outgoing', 9);
    assert.deepEqual(outgoing, [all.filter((edge) => edge.source.index === 3)]);
  }));

for (const order of ORDERS) {
  test(`pages by ${order} over three dictionaries: nothing lost, nothing twice`, () =>
    withData(async ({ reader }, ids) => {
      const everything = (await reader.features(ids.flatMap((dictionaryId, d) => Array.from({ length: SIZES[d]! }, (_, index) => ({ dictionaryId, index }))))).map((row) => row!);
      const expected = sorted(everything, order).map(place);
      for (const first of [1, 4, 7, 200]) assert.deepEqual((await allPages(reader, { dictionaryIds: ids }, order, first)).map(place), expected, `pages of ${first}`);
      const inTwo = sorted(everything.filter((row) => row.dictionaryId !== ids[1]), order).map(place);
      assert.deepEqual((await allPages(reader, { dictionaryIds: [ids[2]!, ids[0]!, 999] }, order, 5)).map(place), inTwo);
      const filters: readonly (readonly [Partial<FeatureFilter>, (row: FeatureRow) => boolean])[] = [
        [{ minDensity: 0.25 }, (row) => row.density >= 0.25],
        [{ minDensity: 0.125, maxDensity: 0.375 }, (row) => row.density >= 0.125 && row.density <= 0.375],
        [{ minScore: 0.5 }, (row) => row.bestScore !== null && row.bestScore >= 0.5],
        [{ explained: true }, (row) => row.index % 3 !== 0],
        [{ explained: false, maxDensity: 0 }, (row) => row.index % 3 === 0 && row.density === 0],
      ];
      for (const [filter, holds] of filters) {
        const pages = await allPages(reader, { dictionaryIds: ids, ...filter }, order, 3);
        assert.deepEqual(pages.map(place), sorted(everything.filter(holds), order).map(place), JSON.stringify(filter));
      }
    }));
}

test('a cursor without a value in an order whose values never miss is refused', () =>
  withData(async ({ reader }, ids) => {
    await assert.rejects(reader.featurePage({ dictionaryIds: ids }, 'DENSITY_ASC', 1, { value: null, dictionaryId: 1, index: 1 }), (error: unknown) => error instanceof CallerError && error.code === 'BAD_CURSOR');
  }));

test('a cursor survives a reload that removes its row', () =>
  withData(async ({ reader, writer }, [a]) => {
    const filter = { dictionaryIds: [a!] };
    const page = await reader.featurePage(filter, 'MAX_ACTIVATION_DESC', 5, null);
    const last = page.rows.at(-1)!;
    const rest = Array.from({ length: 23 }, (_, index) => makeFeature(index)).filter((feature) => feature.index !== last.index);
    // Other weights: what was said of the row goes with it.
    await writer.loadDictionary(makeLoad('0-a', 23, [], { config: makeConfig('0-a', 23, { weightsHash: 'ff'.repeat(32) }), features: stream<FeatureAnalysis>(rest) }));
    const next = await reader.featurePage(filter, 'MAX_ACTIVATION_DESC', 30, { value: last.maxActivation, dictionaryId: a!, index: last.index });
    assert.equal(next.rows.length, 23 - 5);
  }));

const PATCH: PatchRun = {
  id: 'abc123',
  input: { model: 'toy', base: 'nul \0, quote \' and \ud800', target: null, features: [{ feature: { model: 'toy', dictionary: '1-a', index: 3 }, operation: { kind: 'scale', factor: 2.5 }, positions: [-1] }], readPositions: null, topTokens: 5 },
  result: { tokens: ['a', '\0'], targetTokens: null, positions: [{ position: 1, token: '\0', klFromBase: 0.1, klFromTarget: null, klBaseFromTarget: null, changes: [] }], features: [], editMagnitude: 1e-9 },
  weightsHash: 'aa',
  codeVersion: '0.1.0',
  createdAt: '2026-01-02T03:04:05.678Z',
  milliseconds: 12.5,
}; // prettier-ignore

test('patch runs: stored, read back exactly, the first of an id stays', () =>
  withData(async ({ reader }) => {
    assert.equal(await reader.patchRun('abc123'), null);
    await reader.savePatchRun(PATCH);
    await reader.savePatchRun({ ...PATCH, milliseconds: 99 });
    assert.deepEqual(await reader.patchRun('abc123'), PATCH);
  }));

test('each read is one statement, however many keys', () =>
  withData(async ({ reader, statements }, ids) => {
    const reads: Readonly<Record<string, (keys: { dictionaryId: number; index: number }[]) => Promise<unknown>>> = {
      features: (keys) => reader.features(keys),
      explanations: (keys) => reader.explanations(keys),
      texts: (keys) => reader.explanationTexts(keys),
      skips: (keys) => reader.skips(keys),
      summaries: (keys) => reader.explanationSummaries(keys.map((key) => key.dictionaryId)),
      exemplars: (keys) => reader.exemplars(keys, ['top', 'random'], 3),
      incoming: (keys) => reader.edges(keys, 'incoming', 5),
      outgoing: (keys) => reader.edges(keys, 'outgoing', 5),
      tokens: (keys) => reader.tokens('toy', keys.map((key) => key.index)),
      page: (keys) => reader.featurePage({ dictionaryIds: ids }, 'SCORE_DESC', keys.length, null),
    };
    for (const [name, read] of Object.entries(reads)) {
      for (const size of [1, 20]) {
        statements.length = 0;
        await read(Array.from({ length: size }, (_, index) => ({ dictionaryId: ids[index % 3]!, index })));
        assert.equal(statements.length, 1, `${name} of ${size}: ${statements.join(' | ')}`);
      }
    }
    // Prisma reads the model's name beside its dictionaries.
    statements.length = 0;
    await reader.dictionariesById(ids);
    assert.ok(statements.length >= 1 && statements.length <= 2, statements.join(' | '));
  }));

test('health follows the database', () =>
  withData(async (catalog) => {
    assert.equal(await catalog.reader.healthy(), true);
    await catalog.sql('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()');
    assert.equal(await catalog.reader.healthy(), true, 'a cut connection is replaced');
  }));
