import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ExplainOutcome, FeatureAnalysis } from '../../../src/domain/feature.ts';
import { END } from '../../../src/adapters/prisma/searchKeys.ts';
import { openCatalog } from '../../../src/adapters/prisma/catalog.ts';
import { MODEL, makeConfig, makeExplanation, makeFeature, makeLoad, makeRun } from '../../helpers/catalogData.ts';
import { seedNearest } from '../../helpers/seedNearest.ts';
import { withCatalog } from '../../helpers/withCatalog.ts';

const PER_DICTIONARY = 10_000;
const NAMES = ['0-a', '1-a'];
const BIG_TABLES = ['circuit_edge', 'exemplar', 'explanation', 'explanation_skip', 'explanation_word', 'feature', 'feature_token', 'nearest_feature', 'output_edge', 'score', 'token'];
/** Past five runs PostgreSQL may change from plans for the values at hand to a general one; both must use indices. */
const REPEATS = 6;

function* features(): Generator<FeatureAnalysis> {
  for (let index = 0; index < PER_DICTIONARY; index++) yield { ...makeFeature(index), density: (index * 7919) % 997 / 997, maxActivation: (index * 104_729) % 1009 };
}

function* outcomes(): Generator<ExplainOutcome> {
  const words = ['comma', 'bracket', 'name', 'city', 'verb', 'number', 'month', 'quote', 'colon', 'digit'];
  for (let index = 0; index < PER_DICTIONARY; index++) {
    if (index % 3 === 0) yield { kind: 'skipped', index, reason: 'too rare' };
    else yield makeExplanation(index, `${words[index % 10]} after ${words[(index >> 4) % 10]} marker${index}`, (index * 31) % 101 / 101);
  }
}

/**
 * Every read on 20 thousand features: sequential scans of big tables, as PostgreSQL itself counts them, stay at none,
 * while their indices are used.
 */
test('no read scans a big table', () =>
  withCatalog(async ({ writer, url, sql }) => {
    await writer.loadModel(MODEL, Array.from({ length: 20_000 }, (_, id) => `token ${id}`));
    for (const name of NAMES) await writer.loadDictionary(makeLoad(name, PER_DICTIONARY, [], { config: makeConfig(name, PER_DICTIONARY), features: from(features()), explanations: [{ explainer: 'pattern-v1', run: makeRun('explain'), outcomes: from(outcomes()) }] }));
    const edges = Array.from({ length: 20_000 }, (_, i) => ({ sourceDictionary: NAMES[0]!, sourceIndex: (i * 13) % PER_DICTIONARY, targetDictionary: NAMES[1]!, targetIndex: i >> 1, effect: (i % 100) / 100, standardError: 0.1, n: 10 }));
    // And on from the first dictionary to itself, so that a circuit has more than one level.
    const back = Array.from({ length: 20_000 }, (_, i) => ({ sourceDictionary: NAMES[0]!, sourceIndex: (i * 7 + 1) % PER_DICTIONARY, targetDictionary: NAMES[0]!, targetIndex: i >> 1, effect: (i % 100) / 100, standardError: 0.1, n: 10 }));
    const outputs = Array.from({ length: 20_000 }, (_, i) => ({ sourceDictionary: NAMES[i % 2]!, sourceIndex: i >> 1, tokenId: (i * 13) % 200, token: '', effect: (i % 90) / 90, standardError: 0.1, n: 10 }));
    await writer.loadCircuits('toy', [{ run: makeRun('circuits'), edges: [...edges, ...back], outputs }]);
    await seedNearest(writer, 'toy', NAMES.map((dictionary) => ({ dictionary, weightsHash: makeConfig(dictionary, 1).weightsHash, features: PER_DICTIONARY })), 2);
    await sql('ANALYZE');

    const scans = async (): Promise<Record<string, number>> => {
      const rows = await sql<{ relname: string; n: number }>(`SELECT relname, seq_scan::int AS n FROM pg_stat_user_tables WHERE relname = ANY($1) ORDER BY relname`, [BIG_TABLES]);
      return Object.fromEntries(rows.map((row) => [row.relname, row.n]));
    };
    const reads = async (catalog: Awaited<ReturnType<typeof openCatalog>>): Promise<void> => {
      const { reader, search } = catalog;
      const ids = (await reader.dictionaries({})).map((dictionary) => dictionary.id);
      for (const size of [1, 50, 1000]) {
        const keys = Array.from({ length: size }, (_, i) => ({ dictionaryId: ids[i % 2]!, index: (i * 97) % PER_DICTIONARY }));
        await reader.features(keys);
        await reader.explanations(keys);
        await reader.featureTokens(keys);
        await reader.nearest(keys);
        for (const after of [null, { share: 0.5, dictionaryId: ids[0]!, index: 5000 }]) await reader.tokenFeatures({ tokenId: size, dictionaryIds: ids, minShare: 0.1, first: 50, after });
        await reader.explanationTexts(keys);
        await reader.skips(keys);
        await reader.exemplars(keys, ['top', 'quantile', 'random'], 5);
        await reader.edges(keys, 'incoming', 5);
        await reader.edges(keys, 'outgoing', 5);
        await reader.outputEdges(keys, 5);
        await reader.tokenSources(keys.map(({ index }) => ({ model: 'toy', id: index % 200 })), 5);
        await reader.tokensNamed('toy', `token ${size}`, 2);
        for (const target of [{ dictionaryId: ids[1]!, index: size }, { model: 'toy', id: size % 200 }]) await reader.circuit({ target, depth: 4, minEffect: 0.05, perNode: 4, limit: 100 });
        await reader.tokens('toy', keys.map((key) => key.index));
      }
      const score = { scorer: 'simulation-top-random' };
      for (const order of ['INDEX', 'DENSITY_ASC', 'MAX_ACTIVATION_ASC', 'SCORE_ASC', 'SCORER_ASC', 'SCORER_DESC'] as const) {
        const byScorer = order.startsWith('SCORER') ? { score } : {};
        for (const filter of [{ hasIncoming: true }, { hasIncoming: false, hasOutputs: false }, { explainer: 'pattern-v1' }, { explainer: 'nobody' }, { tokenId: 1 }, { tokenId: 7, explained: true, hasIncoming: true }, { score: { ...score, judge: 'pattern-v1', min: 0.99 } }, { score: { ...score, explainer: 'pattern-v1', max: 0.5 }, hasOutgoing: true, minActivation: 10 }]) {
          await reader.featurePage({ dictionaryIds: ids, ...byScorer, ...filter }, order, 50, null);
          await reader.featurePage({ dictionaryIds: ids, ...byScorer, ...filter }, order, 50, { value: 0.5, dictionaryId: ids[0]!, index: 5000 });
        }
      }
      for (const order of ['INDEX', 'DENSITY_ASC', 'DENSITY_DESC', 'MAX_ACTIVATION_DESC', 'SCORE_DESC'] as const) {
        for (const filter of [{}, { minDensity: 0.5, maxDensity: 0.6 }, { minScore: 0.9 }, { explained: false }]) {
          for (const value of [null, 0.5]) {
            if (value === null && order !== 'INDEX' && order !== 'SCORE_DESC') await reader.featurePage({ dictionaryIds: ids, ...filter }, order, 50, null);
            else await reader.featurePage({ dictionaryIds: ids, ...filter }, order, 50, { value, dictionaryId: ids[0]!, index: 5000 });
          }
        }
      }
      for (const query of ['marker17', 'after', 'comm*', 'comma bracket', '"city after verb"', 'comma -name', 'mark', 'braket aftr', 'bracket month or digit']) {
        await search.search({ query, prefix: null, explainers: null, dictionaryIds: ids, minScore: 0.5, first: 20, after: null });
        await search.search({ query, prefix: null, explainers: null, dictionaryIds: null, minScore: null, first: 20, after: { engine: 'postgres', position: ['words', 0, END, 0.1, ids[0]!, 7, 'pattern-v1'] } });
        await search.facets({ query, prefix: null, explainers: ['pattern-v1'], dictionaryIds: null, minScore: null }, { engine: 'postgres', matched: 'prefix' });
      }
      await assert.rejects(search.search({ query: '-comma', prefix: null, explainers: null, dictionaryIds: null, minScore: null, first: 20, after: null }));
    };

    const before = await scans();
    // Closing ends its sessions, which then hand in their counts.
    const catalog = await openCatalog({ home: '', databaseUrl: url, migrate: false, connections: 1 });
    try {
      for (let i = 0; i < REPEATS; i++) await reads(catalog);
    } finally {
      await catalog.close();
    }
    assert.deepEqual(await scans(), before);
    const used = await sql<{ name: string }>('SELECT indexrelname AS name FROM pg_stat_user_indexes WHERE idx_scan > 0');
    const names = new Set(used.map((row) => row.name));
    for (const name of ['feature_pkey', 'feature_density_idx', 'feature_density_desc_idx', 'feature_max_activation_idx', 'feature_best_score_idx', 'feature_flags_idx', 'explanation_explainer_idx', 'feature_token_pkey', 'feature_token_token_idx', 'score_value_idx', 'exemplar_pkey', 'explanation_pkey', 'explanation_skip_pkey', 'score_pkey', 'token_pkey', 'circuit_edge_incoming_idx', 'circuit_edge_outgoing_idx', 'output_edge_tokens_idx', 'output_edge_sources_idx', 'token_text_idx', 'explanation_search_idx', 'explanation_word_trigram_idx', 'explanation_word_prefix_idx']) {
      assert.ok(names.has(name), `${name} is used`);
    }
    // The counter does count.
    await sql('SELECT count(*) FROM feature WHERE mean_activation > 0.1');
    assert.notDeepEqual(await scans(), before);
  }));

async function* from<T>(items: Iterable<T>): AsyncGenerator<T> {
  yield* items;
}
