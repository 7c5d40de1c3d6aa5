import assert from 'node:assert/strict';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { pino } from 'pino';
import { fileArtefacts } from '../../src/adapters/files/artefacts.ts';
import { openSubjectModel } from '../../src/adapters/ort/openSubjectModel.ts';
import { openTokenizer } from '../../src/adapters/tokenizers/openTokenizer.ts';
import { readConfig } from '../../src/config.ts';
import { encode } from '../../src/dictionary/encode.ts';
import type { DictionaryWeights } from '../../src/domain/dictionary.ts';
import type { Exemplar, ExemplarKind, FeatureAnalysis } from '../../src/domain/feature.ts';
import { startServer } from '../../src/main.ts';
import { Rng } from '../../src/math/rng.ts';
import type { SubjectModel } from '../../src/ports/SubjectModel.ts';
import { makeRun, stream } from '../helpers/catalogData.ts';
import { ask, at, list } from '../helpers/graphqlClient.ts';
import { tiedDictionary } from '../helpers/tiedDictionary.ts';
import { withCatalog } from '../helpers/withCatalog.ts';
import { withFolder } from '../helpers/withFolder.ts';

const MODEL = resolve(import.meta.dirname, '../../models/demo');
const NAME = 'demo';
const DICTIONARY = '2-tied-r1';
const FEATURES = 24;
const [ROWS, LENGTH] = [60, 16];

/** What `analyse` finds, of random texts: windows are whole rows. */
async function analysed(model: SubjectModel, weights: DictionaryWeights): Promise<FeatureAnalysis[]> {
  const rng = new Rng(3);
  const ids = Int32Array.from({ length: ROWS * LENGTH }, () => 10 + rng.int(200));
  const { taps } = await model.forward({ batch: { rows: ROWS, cols: LENGTH, ids, lengths: new Int32Array(ROWS).fill(LENGTH) }, taps: ['resid_post.2'], logits: 'none' });
  const codes = encode(weights, taps.get('resid_post.2')!);
  return Array.from({ length: FEATURES }, (_, index) => {
    const windows = Array.from({ length: ROWS }, (__, row) => {
      const activations = Array.from({ length: LENGTH }, (___, t) => codes[(row * LENGTH + t) * FEATURES + index]!);
      return { row, start: 0, ids: [...ids.subarray(row * LENGTH, (row + 1) * LENGTH)], activations, maxActivation: Math.max(...activations) };
    });
    const of = (kind: ExemplarKind, chosen: typeof windows): Exemplar[] => chosen.map((window, rank) => ({ ...window, kind, rank }));
    const active = windows.filter(({ maxActivation }) => maxActivation > 0);
    const top = of('top', [...active].sort((a, b) => b.maxActivation - a.maxActivation).slice(0, 20));
    return {
      index, density: 0.1, maxActivation: Math.max(...windows.map(({ maxActivation }) => maxActivation)), meanActivation: 1, histogram: { edges: [], counts: [] },
      topLogits: [], bottomLogits: [], neighbours: [], exemplars: [...top, ...of('random', windows.slice(0, 20))],
    }; // prettier-ignore
  });
}

const EXPLAIN = `mutation ($feature: FeatureAddress!, $method: String) { explainFeature(input: { feature: $feature, method: $method }) { skipped userErrors { code field message }
  explanation { id explainer model description madeFrom { row start length } run { key stage }
    scores { scorer judge value undefinedReason n interval { low high } fragments { row start } } feature { bestScore } } } }`;

test('a feature of a real model is explained on demand by its patterns, and the same again is the same', async () => {
  await withFolder((home) =>
    withCatalog(async (catalog) => {
      const model = await openSubjectModel(MODEL, { device: 'cpu', workers: 1 });
      const tokenizer = await openTokenizer(MODEL);
      const random = tiedDictionary(DICTIONARY, 'resid_post.2', model.info.dModel, FEATURES, { seed: 5, bias: -0.5 });
      const location = join('dictionaries', DICTIONARY);
      const weights = await fileArtefacts().writeDictionary(join(home, location), { ...random, config: { ...random.config, model: NAME } }, null);
      const features = await analysed(model, weights);
      await catalog.writer.loadModel({ ...model.info, source: MODEL }, Array.from({ length: model.info.vocabSize }, (_, id) => tokenizer.token(id)));
      const runs = { train: { ...makeRun('train'), key: weights.config.run }, analyse: makeRun('analyse') };
      await catalog.writer.loadDictionary({ config: weights.config, quality: null, location, tokensAnalysed: ROWS * LENGTH, runs, features: stream(features), explanations: [] });
      const explainable = features.find(({ exemplars }) => exemplars.filter(({ kind, activations }) => kind === 'top' && new Set(activations).size > 1).length === 20);
      assert.ok(explainable !== undefined);
      const server = await startServer(
        { ...readConfig({}), home, host: '127.0.0.1', port: 0, databaseUrl: catalog.url, device: 'cpu', workers: 1, logLevel: 'silent', hubToken: undefined },
        pino({ level: 'silent' }),
      );
      try {
        assert.deepEqual(at(await ask(server.url, '{ server { explainMethods explainScorers } }'), 'server'), { explainMethods: ['pattern'], explainScorers: ['simulation'] });
        const feature = `${NAME}/${DICTIONARY}/${explainable.index}`;
        const data = await ask(server.url, EXPLAIN, { feature });
        assert.deepEqual(at(data, 'explainFeature.userErrors'), []);
        const explanation = at(data, 'explainFeature.explanation');
        assert.deepEqual([at(explanation, 'explainer'), at(explanation, 'model')], ['pattern-v1', null]);
        assert.ok(String(at(explanation, 'description')).length > 0);
        const scores = list(explanation, 'scores');
        assert.ok(scores.some((score) => at(score, 'scorer') === 'simulation-top-random' && at(score, 'judge') === 'pattern-v1'));
        const read = new Set(list(explanation, 'madeFrom').map((fragment) => at(fragment, 'row')));
        assert.equal(read.size, 5);
        for (const score of scores) for (const fragment of list(score, 'fragments')) assert.ok(!read.has(at(fragment, 'row')), 'judged on other text than it was made from');
        assert.deepEqual(await ask(server.url, EXPLAIN, { feature, method: 'pattern' }), data);
        const stored = await ask(server.url, 'query ($id: ID!) { node(id: $id) { ... on Explanation { description } } }', { id: at(explanation, 'id') });
        assert.equal(at(stored, 'node.description'), at(explanation, 'description'));
        const other = await ask(server.url, EXPLAIN, { feature, method: 'token-act-pair' });
        assert.match(String(at(other, 'explainFeature.userErrors.0.message')), /unknown method "token-act-pair": this server has pattern/);
      } finally {
        await server.close();
        await model.close();
      }
    }),
  );
});
