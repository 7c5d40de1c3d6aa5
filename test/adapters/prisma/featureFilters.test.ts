import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ExplainOutcome, Score } from '../../../src/domain/feature.ts';
import { Rng } from '../../../src/math/rng.ts';
import type { CatalogReader, FeatureCursor, FeatureFilter, FeatureOrder, FeatureRow } from '../../../src/ports/CatalogReader.ts';
import type { CatalogWriter } from '../../../src/ports/CatalogWriter.ts';
import { MODEL, makeConfig, makeExplanation, makeFeature, makeLoad, makeRun, stream } from '../../helpers/catalogData.ts';
import { withCatalog } from '../../helpers/withCatalog.ts';

/** The last has more features than are looked at one by one. */
const SIZES = [40, 31, 2300];
const EXPLAINERS = ['a-v1', 'b-v1@model'];
const SCORERS = ['simulation-top-random', 'detection'];
const JUDGES = ['small', 'large'];

/** What the catalog holds of a feature, in plain words. */
interface Known {
  readonly dictionary: number;
  readonly index: number;
  density: number;
  activation: number;
  best: number | null;
  readonly explainers: Set<string>;
  readonly scores: { scorer: string; judge: string; explainer: string; value: number }[];
  incoming: boolean;
  outgoing: boolean;
  outputs: boolean;
}

async function load(writer: CatalogWriter): Promise<Known[][]> {
  const rng = new Rng(5);
  await writer.loadModel(MODEL, [' a', ' b']);
  const known = SIZES.map((size, dictionary) => Array.from({ length: size }, (_, index): Known => ({ dictionary, index, density: 0, activation: 0, best: null, explainers: new Set(), scores: [], incoming: false, outgoing: false, outputs: false })));
  for (const [d, features] of known.entries()) {
    const name = `${d}-d`;
    const explanations = EXPLAINERS.map((explainer, e) => {
      const outcomes: ExplainOutcome[] = [];
      for (const feature of features) {
        // One explainer explains nearly all, the other few; the second dictionary has none of the other's.
        if (rng.next() > (e === 0 ? 0.9 : d === 1 ? -1 : 0.05)) continue;
        feature.explainers.add(explainer);
        const scores = SCORERS.flatMap((scorer) => JUDGES.map((judge): Score => {
          const value = rng.next() < 0.2 ? null : rng.int(9) / 8;
          if (value !== null) feature.scores.push({ scorer, judge, explainer, value });
          return { scorer, judge, promptVersion: null, fragments: [], value, undefinedReason: value === null ? 'constant' : null, n: 9, low: null, high: null };
        }));
        const made = makeExplanation(feature.index, 'words', 0.5);
        assert.ok(made.kind === 'explained');
        outcomes.push({ kind: 'explained', explanation: { ...made.explanation, explainer, scores } });
      }
      return { explainer, run: makeRun('explain'), outcomes: stream(outcomes) };
    });
    for (const feature of features) {
      feature.density = rng.int(20) / 20;
      feature.activation = rng.int(30);
      const ranking = feature.scores.filter(({ scorer }) => scorer === 'simulation-top-random').map(({ value }) => value);
      feature.best = ranking.length === 0 ? null : Math.max(...ranking);
    }
    await writer.loadDictionary(makeLoad(name, features.length, [], { config: makeConfig(name, features.length), explanations, features: stream(features.map(({ index, density, activation }) => makeFeature(index, { density, maxActivation: activation, exemplars: [] }))) }));
  }
  const edges = Array.from({ length: 3000 }, (_, i) => ({ sourceDictionary: '2-d', sourceIndex: i % 2200, targetDictionary: ['0-d', '2-d'][Number(i >= 20)]!, targetIndex: i >= 20 ? (i * 7) % 300 : i, effect: 0.5, standardError: 0.1, n: 3 }));
  const outputs = [3, 9, 2299].map((sourceIndex) => ({ sourceDictionary: '2-d', sourceIndex, tokenId: 1, token: ' b', effect: 1, standardError: 0.1, n: 3 }));
  await writer.loadCircuits('toy', [{ run: makeRun('circuits'), edges, outputs }]);
  for (const { sourceIndex, targetDictionary, targetIndex } of edges) {
    known[2]![sourceIndex]!.outgoing = true;
    known[Number(targetDictionary[0])]![targetIndex]!.incoming = true;
  }
  for (const { sourceIndex } of outputs) known[2]![sourceIndex]!.outputs = true;
  return known;
}

const within = (value: number, min = -Infinity, max = Infinity): boolean => value >= min && value <= max;

function matching({ scores }: Known, { score }: Filter): number[] {
  return scores.filter((one) => one.scorer === score!.scorer && (score!.judge ?? one.judge) === one.judge && (score!.explainer ?? one.explainer) === one.explainer && within(one.value, score!.min, score!.max)).map(({ value }) => value);
}

type Filter = Omit<FeatureFilter, 'dictionaryIds'>;

function satisfies(feature: Known, filter: Filter): boolean {
  const same = (wanted: boolean | undefined, is: boolean): boolean => wanted === undefined || wanted === is;
  return within(feature.density, filter.minDensity, filter.maxDensity) && within(feature.activation, filter.minActivation, filter.maxActivation)
    && ((filter.minScore === undefined && filter.maxScore === undefined) || (feature.best !== null && within(feature.best, filter.minScore, filter.maxScore)))
    && same(filter.explained, feature.explainers.size > 0) && (filter.explainer === undefined || feature.explainers.has(filter.explainer))
    && same(filter.hasIncoming, feature.incoming) && same(filter.hasOutgoing, feature.outgoing) && same(filter.hasOutputs, feature.outputs)
    && (filter.score === undefined || matching(feature, filter).length > 0);
}

function valueOf(feature: Known, order: FeatureOrder, filter: Filter): number | null {
  if (order === 'INDEX') return 0;
  if (order.startsWith('SCORER')) return Math.max(...matching(feature, filter));
  return order.startsWith('DENSITY') ? feature.density : order.startsWith('MAX') ? feature.activation : feature.best;
}

/** Ascending orders other than DENSITY_ASC are their opposites read backwards, so their ties run backwards too. */
function expected(features: readonly Known[], filter: Filter, order: FeatureOrder): string[] {
  const up = order.endsWith('ASC');
  const ties = up && order !== 'DENSITY_ASC' ? -1 : 1;
  return features.filter((feature) => satisfies(feature, filter)).map((feature) => ({ feature, value: valueOf(feature, order, filter) }))
    .sort((a, b) => Number(a.value === null) - Number(b.value === null) || (up ? 1 : -1) * ((a.value ?? 0) - (b.value ?? 0)) || ties * (a.feature.dictionary - b.feature.dictionary || a.feature.index - b.feature.index))
    .map(({ feature }) => `${feature.dictionary}/${feature.index}`);
}

async function allPages(reader: CatalogReader, filter: FeatureFilter, order: FeatureOrder, first: number): Promise<string[]> {
  const found: string[] = [];
  let after: FeatureCursor | null = null;
  for (;;) {
    const { rows, hasNext, values } = await reader.featurePage(filter, order, first, after);
    found.push(...rows.map(({ dictionaryId, index }) => `${filter.dictionaryIds.indexOf(dictionaryId)}/${index}`));
    if (!hasNext) return found;
    assert.equal(rows.length, first, 'a page before the last is full');
    const last = rows.at(-1)!;
    after = { value: values?.at(-1) ?? ofRow(last, order), dictionaryId: last.dictionaryId, index: last.index };
  }
}

function ofRow(row: FeatureRow, order: FeatureOrder): number | null {
  return order === 'INDEX' ? null : order.startsWith('DENSITY') ? row.density : order.startsWith('MAX') ? row.maxActivation : row.bestScore;
}

const FILTERS: readonly Filter[] = [
  {},
  { minActivation: 10, maxActivation: 12, minScore: 0.25, maxScore: 0.75 },
  { hasIncoming: true },
  { hasIncoming: false, hasOutgoing: true },
  { hasOutputs: true, explained: true },
  { hasOutputs: false, minDensity: 0.5 },
  { explained: false },
  { explainer: 'a-v1' },
  { explainer: 'b-v1@model', hasOutgoing: true },
  { explainer: 'a-v1', hasOutgoing: true, explained: true },
  { explainer: 'nobody' },
  { score: { scorer: 'detection' } },
  { score: { scorer: 'detection', judge: 'large', min: 0.9 }, hasOutgoing: true },
  { score: { scorer: 'simulation-top-random', explainer: 'b-v1@model', min: 0.25, max: 0.5 } },
  { score: { scorer: 'detection', judge: 'small', explainer: 'a-v1', max: 0.75 }, explainer: 'b-v1@model' },
  { score: { scorer: 'none' } },
];
const ORDERS: readonly FeatureOrder[] = ['INDEX', 'DENSITY_ASC', 'DENSITY_DESC', 'MAX_ACTIVATION_ASC', 'MAX_ACTIVATION_DESC', 'SCORE_ASC', 'SCORE_DESC', 'SCORER_ASC', 'SCORER_DESC'];

test('every filter with every order gives what a plain sort of everything gives, page by page', () =>
  withCatalog(async ({ writer, reader }) => {
    const known = await load(writer);
    const ids = (await reader.dictionaries({ model: 'toy' })).map(({ id }) => id);
    for (const filter of FILTERS) {
      for (const order of ORDERS) {
        if (order.startsWith('SCORER') && filter.score === undefined) continue;
        const what = `${order} ${JSON.stringify(filter)}`;
        assert.deepEqual(await allPages(reader, { ...filter, dictionaryIds: ids }, order, 400), expected(known.flat(), filter, order), what);
        assert.deepEqual(await allPages(reader, { ...filter, dictionaryIds: ids.slice(0, 2) }, order, 7), expected(known.slice(0, 2).flat(), filter, order), `${what}, small pages`);
      }
    }
  }));

test('what features say of their edges follows every change of edges, weights and features', () =>
  withCatalog(async ({ writer, reader, sql }) => {
    await load(writer);
    const stale = (): Promise<readonly { n: number }[]> => sql<{ n: number }>(`SELECT count(*)::int AS n FROM feature f WHERE f.edges <>
      CASE WHEN EXISTS (SELECT 1 FROM circuit_edge e WHERE (e.target_dictionary_id, e.target_index) = (f.dictionary_id, f."index")) THEN 1 ELSE 0 END
      + CASE WHEN EXISTS (SELECT 1 FROM circuit_edge e WHERE (e.source_dictionary_id, e.source_index) = (f.dictionary_id, f."index")) THEN 2 ELSE 0 END
      + CASE WHEN EXISTS (SELECT 1 FROM output_edge e WHERE (e.source_dictionary_id, e.source_index) = (f.dictionary_id, f."index")) THEN 4 ELSE 0 END`);
    const having = async (): Promise<number> => (await sql<{ n: number }>('SELECT count(*)::int AS n FROM feature WHERE edges <> 0'))[0]!.n;
    assert.deepEqual([await stale(), (await having()) > 2000], [[{ n: 0 }], true]);
    // The same weights again: its edges stay, so its features keep what they say.
    await writer.loadDictionary(makeLoad('0-d', SIZES[0]!, []));
    assert.deepEqual(await stale(), [{ n: 0 }]);
    assert.equal((await reader.featurePage({ dictionaryIds: [(await reader.dictionaries({ names: ['0-d'] })).find(({ name }) => name === '0-d')!.id], hasIncoming: true }, 'INDEX', 50, null)).rows.length, 20);
    await writer.loadCircuits('toy', [{ run: makeRun('circuits'), edges: [{ sourceDictionary: '0-d', sourceIndex: 1, targetDictionary: '1-d', targetIndex: 2, effect: 1, standardError: 0, n: 2 }] }]);
    assert.deepEqual([await stale(), await having()], [[{ n: 0 }], 2]);
    // Other weights at one end: the other end's feature has no edge any more.
    await writer.loadDictionary(makeLoad('1-d', SIZES[1]!, [], { config: makeConfig('1-d', SIZES[1]!, { weightsHash: 'ee'.repeat(32) }) }));
    assert.deepEqual([await stale(), await having()], [[{ n: 0 }], 0]);
    await writer.loadCircuits('toy', [{ run: makeRun('circuits'), edges: [{ sourceDictionary: '0-d', sourceIndex: 1, targetDictionary: '1-d', targetIndex: 2, effect: 1, standardError: 0, n: 2 }] }]);
    await writer.loadModel({ ...MODEL, weightsHash: 'ff'.repeat(32) }, [' a']);
    assert.deepEqual([await stale(), await having()], [[{ n: 0 }], 0]);
  }));
