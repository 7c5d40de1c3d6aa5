import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ExplainOutcome } from '../../src/domain/feature.ts';
import { makeExplanation, makeRun, stream } from '../helpers/catalogData.ts';
import { fixedExplainers, LLM_EXPLAINER } from '../helpers/fixedExplainers.ts';
import { at, list } from '../helpers/graphqlClient.ts';
import { seedConfig } from '../helpers/seedCatalog.ts';
import { withServer } from './withServer.ts';

const FEATURES = 15;
const TARGET = { model: 'toy', dictionary: '0-tied-r2', weightsHash: seedConfig(0, FEATURES).weightsHash };

/** By a language model: feature 1 with two judges, 2 undefined, 3 skipped. */
function outcomes(): ExplainOutcome[] {
  const made = (index: number, value: number | null, judges: readonly string[]): ExplainOutcome => {
    const outcome = makeExplanation(index, `words of feature ${index}`, value, LLM_EXPLAINER);
    assert.ok(outcome.kind === 'explained');
    const [score] = outcome.explanation.scores;
    const scores = judges.map((judge, i) => ({ ...score!, judge, promptVersion: `simulate-v${i + 1}`, ...(value === null ? {} : { value: value + i / 8 }) }));
    return { kind: 'explained', explanation: { ...outcome.explanation, model: 'meta-llama/Llama-3.2-1B', promptVersion: 'token-act-pair-v1', scores } };
  };
  return [made(1, 0.5, ['gpt-4o-mini', 'local:/models/judge']), made(2, null, ['gpt-4o-mini']), { kind: 'skipped', index: 3, reason: 'no reply that can be read' }];
}

const EXPLAIN = `mutation ($input: ExplainFeatureInput!) { explainFeature(input: $input) { skipped userErrors { code field message }
  explanation { id explainer model description run { key } madeFrom { row start length } scores { scorer judge value } feature { address bestScore explanations { nodes { explainer } } } } } }`;

test('explanations of several explainers, judged by several judges', async (t) => {
  await withServer({ seed: { features: FEATURES }, explainers: fixedExplainers() }, async ({ ask, send, catalog }) => {
    await catalog.writer.loadExplanations(TARGET, { explainer: LLM_EXPLAINER, run: makeRun('explain', 'llm'), outcomes: stream(outcomes()) });

    await t.test('who wrote it, from what, who judged it, on what', async () => {
      const data = await ask(`{ feature(address: "toy/0-tied-r2/1") { bestScore bestExplanation { explainer } skips { reason } explanations { nodes {
        explainer model promptVersion madeFrom { row start length } run { key }
        scores { scorer judge promptVersion value interval { low high } fragments { row start length } } } } } }`);
      assert.deepEqual(list(data, 'feature.explanations.nodes').map((node) => at(node, 'explainer')), ['pattern-v1', LLM_EXPLAINER]);
      assert.deepEqual(at(data, 'feature.explanations.nodes.1'), {
        explainer: LLM_EXPLAINER, model: 'meta-llama/Llama-3.2-1B', promptVersion: 'token-act-pair-v1', madeFrom: [{ row: 1, start: 0, length: 64 }], run: { key: 'run-llm' },
        scores: [0, 1].map((i) => ({
          scorer: 'simulation-top-random', judge: ['gpt-4o-mini', 'local:/models/judge'][i], promptVersion: `simulate-v${i + 1}`, value: 0.5 + i / 8, interval: { low: 0.375, high: 0.625 },
          fragments: [{ row: 3, start: 64, length: 64 }, { row: 9, start: 0, length: 64 }],
        })),
      }); // prettier-ignore
      // 0.84, by the pattern itself.
      assert.deepEqual([at(data, 'feature.bestScore'), at(data, 'feature.bestExplanation.explainer'), at(data, 'feature.skips')], [0.84, 'pattern-v1', []]);
    });

    await t.test('who left a feature out, and why', async () => {
      const data = await ask(`{ a: feature(address: "toy/0-tied-r2/3") { skips { explainer reason run { key } } } b: feature(address: "toy/0-tied-r2/4") { skips { explainer reason } } }`);
      assert.deepEqual(at(data, 'a.skips'), [{ explainer: LLM_EXPLAINER, reason: 'no reply that can be read', run: { key: 'run-llm' } }]);
      assert.deepEqual(at(data, 'b.skips'), [{ explainer: 'pattern-v1', reason: 'never active in held-out text' }]);
    });

    await t.test('means stand beside their coverage', async () => {
      const data = await ask(`{ dictionary(model: "toy", name: "0-tied-r2") { explainRun { stage } explanationSummaries { explainer features explained coverage run { key } skips { reason count }
        scores { scorer judge coverage ofScored { n value interval { low } } skippedAsZero { n value } undefined { reason count } } } } }`);
      const [pattern, llm] = list(data, 'dictionary.explanationSummaries');
      assert.deepEqual([at(pattern!, 'explainer'), at(pattern!, 'features'), at(pattern!, 'explained')], ['pattern-v1', 15, 12]);
      assert.deepEqual(llm, {
        explainer: LLM_EXPLAINER, features: 3, explained: 2, coverage: 2 / 3, run: { key: 'run-llm' }, skips: [{ reason: 'no reply that can be read', count: 1 }],
        scores: [
          { scorer: 'simulation-top-random', judge: 'gpt-4o-mini', coverage: 1 / 3, ofScored: { n: 1, value: 0.5, interval: null }, skippedAsZero: { n: 3, value: 0.5 / 3 }, undefined: [{ reason: 'constant activations', count: 1 }] },
          { scorer: 'simulation-top-random', judge: 'local:/models/judge', coverage: 1 / 3, ofScored: { n: 1, value: 0.625, interval: null }, skippedAsZero: { n: 3, value: 0.625 / 3 }, undefined: [] },
        ],
      }); // prettier-ignore
      assert.equal(at(data, 'dictionary.explainRun.stage'), 'explain');
    });

    await t.test('ids survive names with slashes, colons and at signs', async () => {
      const data = await ask('{ feature(address: "toy/0-tied-r2/1") { explanations { nodes { id explainer } } } }');
      const ids = list(data, 'feature.explanations.nodes').map((node) => at(node, 'id'));
      assert.equal(new Set(ids).size, 2);
      const nodes = await ask('query ($ids: [ID!]!) { nodes(ids: $ids) { id ... on Explanation { explainer } } }', { ids });
      assert.deepEqual(at(nodes, 'nodes'), at(data, 'feature.explanations.nodes'));
    });

    await t.test('one feature is explained on demand, and once more', async () => {
      assert.deepEqual(await ask('{ server { explainMethods explainScorers } }'), { server: { explainMethods: ['pattern', 'token-act-pair'], explainScorers: ['simulation', 'detection'] } });
      const input = { feature: 'toy/0-tied-r2/9', method: 'token-act-pair', scorers: ['simulation'] };
      const data = await ask(EXPLAIN, { input });
      assert.deepEqual(at(data, 'explainFeature.userErrors'), []);
      assert.equal(at(data, 'explainFeature.explanation.explainer'), LLM_EXPLAINER);
      assert.deepEqual(at(data, 'explainFeature.explanation.feature'), { address: 'toy/0-tied-r2/9', bestScore: 0.75, explanations: { nodes: [{ explainer: LLM_EXPLAINER }] } });
      assert.deepEqual(await ask(EXPLAIN, { input }), data);
      const id = at(data, 'explainFeature.explanation.id');
      assert.equal(at(await ask('query ($id: ID!) { node(id: $id) { ... on Explanation { explainer } } }', { id }), 'node.explainer'), LLM_EXPLAINER);
      assert.deepEqual(at(await ask(EXPLAIN, { input: { feature: 'toy/0-tied-r2/7' } }), 'explainFeature'), { skipped: 'too few fragments', userErrors: [], explanation: null });
    });

    await t.test('mistakes come as user errors', async () => {
      const errors = async (input: Record<string, string | string[]>) => at(await ask(EXPLAIN, { input }), 'explainFeature.userErrors.0');
      const error = async (input: Record<string, string | string[]>) => {
        const found = await errors(input);
        return [at(found, 'code'), at(found, 'field')];
      };
      assert.deepEqual(await error({ feature: 'nonsense' }), ['BAD_INPUT', ['feature']]);
      assert.deepEqual(await error({ feature: 'toy/9-z/1' }), ['NOT_FOUND', ['feature']]);
      assert.deepEqual(await error({ feature: 'toy/0-tied-r2/1', scorers: ['taste'] }), ['BAD_INPUT', ['scorers', '0']]);
      assert.match(String(at(await errors({ feature: 'toy/0-tied-r2/1', method: 'magic' }), 'message')), /this server has pattern, token-act-pair/);
      const twenty = Array.from({ length: 21 }, (_, i) => `m${i}: explainFeature(input: { feature: "toy/0-tied-r2/1" }) { skipped }`).join(' ');
      assert.equal((await send(`mutation { ${twenty} }`)).errors[0]?.extensions['code'], 'LIMIT_EXCEEDED');
    });
  });
});
