import assert from 'node:assert/strict';
import { test } from 'node:test';
import { logSoftmax } from '../../src/causal/divergence.ts';
import { LIMITS } from '../../src/catalog/limits.ts';
import type { PatchRun } from '../../src/domain/patch.ts';
import { at, list, type Json } from '../helpers/graphqlClient.ts';
import { MANY, TINY, withTinyServer } from './withTinyServer.ts';

const RUN = `hash error editMagnitude editMagnitudes loss { base patched meanBase meanPatched meanChange } watched { address hookPoint before after feature { index } }
  features { address operation value positions before after }
  positions { position klFromBase klFromTarget changes { token } namedTokens { id token baseLogProb patchedLogProb baseRank patchedRank } logitDifferences { positive negative base target patched } }`;
const ERRORS = 'userErrors { code field message retryAfterSeconds }';
const PATCH = `mutation ($input: PatchInput!) { patch(input: $input) { patchRun { ${RUN} } ${ERRORS} } }`;
const PATCHES = `mutation ($input: PatchesInput!) { patches(input: $input) { results { patchRun { ${RUN} } ${ERRORS} } ${ERRORS} } }`;
const ABLATE = `mutation ($input: AblateInput!) { ablate(input: $input) { patchRun { ${RUN} } ${ERRORS} } }`;

const words = (ids: readonly number[]): string => ids.map((id) => `w${id}`).join(' ');
const many = (index: number): string => `${TINY}/many/${index}`;
const ablated = (index: number): Json => ({ model: TINY, base: 'w5 w9 w11 w30', features: [{ feature: many(index), operation: 'ABLATE' }] });
const numbers = (json: Json, path: string): number[] => list(json, path).map(Number);

function assertClose(found: readonly number[], expected: readonly number[], what: string, tolerance = 1e-4): void {
  assert.equal(found.length, expected.length, what);
  found.forEach((value, i) => assert.ok(Math.abs(value - expected[i]) <= tolerance * Math.max(1, Math.abs(expected[i])), `${what}[${i}]: ${value} for ${expected[i]}`));
}

test('patches through the API', async (t) => {
  await withTinyServer(async ({ ask, send, oracle, model, dictionaries, catalog, forwards, places: occupied, hold, url }) => {
    await t.test('a batch equals PyTorch hooks: every operation, error kept and removed, losses, logits, magnitudes, watched features', async () => {
      const watched = Array.from({ length: dictionaries.get('watched')!.config.nFeatures }, (_, i) => `${TINY}/watched/${i}`);
      const patches = oracle.interventions.map(({ prompt, target, error, features }): Json => ({
        model: TINY,
        base: words(oracle.prompts[prompt]),
        target: target === null ? null : words(oracle.prompts[target]),
        error: error.toUpperCase(),
        allPositions: true,
        loss: true,
        logitDifference: [{ positive: `w${oracle.pair[0]}`, negative: `w${oracle.pair[1]}` }],
        watch: watched,
        features: features.map(({ dictionary, index, operation, positions }) => ({
          feature: `${TINY}/${dictionary}/${index}`,
          operation: operation.kind.toUpperCase(),
          positions,
          value: operation.kind === 'scale' ? operation.factor : operation.kind === 'set' || operation.kind === 'add' ? operation.value : null,
        })),
      }));
      const { results } = at(await ask(PATCHES, { input: { patches } }), 'patches') as { results: Json[] };
      assert.equal(results.length, patches.length);
      for (const [i, expected] of oracle.interventions.entries()) {
        assert.deepEqual(at(results[i], 'userErrors'), []);
        const run = at(results[i], 'patchRun');
        const positions = list(run, 'positions');
        assertClose(positions.map((p) => Number(at(p, 'klFromBase'))), expected.klFromBase, `${i}: KL(patched‖base)`);
        if (expected.klFromTarget === null) assert.ok(positions.every((p) => at(p, 'klFromTarget') === null && at(p, 'logitDifferences.0.target') === null));
        else assertClose(positions.map((p) => Number(at(p, 'klFromTarget'))), expected.klFromTarget, `${i}: KL(patched‖target)`);
        assertClose(positions.map((p) => Number(at(p, 'logitDifferences.0.patched'))), expected.logitDifference, `${i}: logit difference`);
        assertClose(positions.map((p) => Number(at(p, 'logitDifferences.0.base'))), expected.baseLogitDifference, `${i}: before`);
        const [base, patched] = [numbers(run, 'loss.base'), numbers(run, 'loss.patched')];
        assertClose(patched.map((loss, t2) => loss - base[t2]), expected.lossChange, `${i}: loss`);
        const mean = expected.lossChange.reduce((sum, change) => sum + change, 0) / expected.lossChange.length;
        assertClose([Number(at(run, 'loss.meanChange'))], [mean], `${i}: mean loss`);
        assertClose(numbers(run, 'editMagnitudes'), expected.editNorms, `${i}: magnitudes`);
        list(run, 'watched').forEach((one, j) => {
          assertClose(numbers(one, 'before'), expected.watched[j].before, `${i}: watched ${j}`);
          assertClose(numbers(one, 'after'), expected.watched[j].after, `${i}: watched ${j} after`);
          assert.deepEqual([at(one, 'address'), at(one, 'feature.index'), at(one, 'hookPoint')], [watched[j], j, 'resid_post.2']);
        });
        assert.equal(at(run, 'error'), expected.error.toUpperCase());
        for (const [j, { operation }] of expected.features.entries()) {
          assert.equal(at(run, `features.${j}.operation`), operation.kind.toUpperCase());
          if (operation.kind === 'ablate_to_mean') assertClose([Number(at(run, `features.${j}.value`))], [operation.mean], 'the mean that was used', 1e-6);
        }
      }
      // One by one they are the same runs, read back.
      const before = forwards();
      for (const [i, input] of patches.entries()) assert.deepEqual(at(await ask(PATCH, { input }), 'patch.patchRun'), at(results[i], 'patchRun'));
      assert.equal(forwards(), before);
    });

    await t.test('tokens by name: log-probabilities and ranks are those of the edited network', async () => {
      const { weights, ids } = { weights: dictionaries.get('many')!, ids: Int32Array.of(5, 9, 11, 30) };
      const seen = at(await ask(PATCH, { input: { ...(ablated(0) as object), watch: Array.from({ length: 64 }, (_, i) => many(i)) } }), 'patch.patchRun');
      const active = list(seen, 'watched').findIndex((one) => numbers(one, 'before').at(-1)! > 0);
      const input = { ...(ablated(active) as object), tokens: ['w7', 'w20'], logitDifference: [{ positive: 'w7', negative: 'w20' }], target: 'w5 w9 w12 w30' };
      const run = at(await ask(PATCH, { input }), 'patch.patchRun');
      const d = model.info.dModel;
      const c = numbers(run, 'features.0.before');
      assert.ok(c.some((value) => value > 0));
      const delta = Float32Array.from({ length: ids.length * d }, (_, i) => -c[Math.floor(i / d)] * weights.decoder[active * d + (i % d)]);
      const last = async (row: Int32Array, edits: { at: 'resid_post.0'; delta: Float32Array }[]) =>
        logSoftmax((await model.forward({ batch: { rows: 1, cols: 4, ids: row, lengths: Int32Array.of(4) }, edits, taps: [], logits: 'last' })).logits!, 0, model.info.vocabSize);
      const [base, patched, target] = [await last(ids, []), await last(ids, [{ at: 'resid_post.0', delta }]), await last(Int32Array.of(5, 9, 12, 30), [])];
      for (const [i, id] of [7, 20].entries()) {
        const found = at(run, `positions.0.namedTokens.${i}`);
        assert.deepEqual([at(found, 'id'), at(found, 'token')], [id, `w${id}`]);
        assertClose([Number(at(found, 'baseLogProb')), Number(at(found, 'patchedLogProb'))], [base[id], patched[id]], 'log-probabilities', 1e-5);
        assert.deepEqual([at(found, 'baseRank'), at(found, 'patchedRank')], [base, patched].map((all) => all.filter((value) => value > all[id]).length));
      }
      const difference = at(run, 'positions.0.logitDifferences.0');
      assertClose(['base', 'patched', 'target'].map((name) => Number(at(difference, name))), [base, patched, target].map((all) => all[7] - all[20]), 'differences', 1e-4);
    });

    await t.test('mistakes are named, each beside what runs', async () => {
      const good = ablated(1);
      const bad: [Json, string, string, RegExp][] = [
        [{ tokens: ['w3 w4'] }, 'BAD_INPUT', 'tokens.0', /"w3 w4" is 2 tokens \("w3", "w4"\)/],
        [{ logitDifference: [{ positive: 'w3', negative: 'Mary' }] }, 'BAD_INPUT', 'logitDifference.0.negative', /"Mary" is no token of this model, it is read as "w1"/],
        [{ tokens: [''] }, 'BAD_INPUT', 'tokens.0', /found none/],
        [{ tokens: Array.from({ length: 33 }, () => 'w3') }, 'LIMIT_EXCEEDED', 'tokens', /33 entries: at most 32/],
        [{ watch: [`${TINY}/nope/1`] }, 'NOT_FOUND', 'watch.0', /no dictionary nope/],
        [{ watch: ['nope'] }, 'BAD_INPUT', 'watch.0', /no feature address/],
        [{ watch: [many(MANY)] }, 'NOT_FOUND', 'watch.0', /0 to 199/],
        [{ allPositions: true, readPositions: [0] }, 'BAD_INPUT', 'readPositions', /both given/],
        [{ model: 'nope' }, 'NOT_FOUND', 'model', /no model "nope"; it has tiny/],
        [{ base: '' }, 'BAD_INPUT', 'base', /base is empty/],
        [{ base: 'w1 '.repeat(6000) }, 'TEXT_TOO_LONG', 'base', /6000 tokens: the model reads at most/],
        [{ base: 'w1 '.repeat(10_000) }, 'TEXT_TOO_LONG', 'base', /30000 characters/],
        [{ features: [{ feature: many(3), operation: 'ADD' }] }, 'BAD_INPUT', 'features.0.value', /ADD needs a value/],
        [{ features: [{ feature: many(3), operation: 'ABLATE_TO_MEAN', value: 1 }] }, 'BAD_INPUT', 'features.0.value', /takes no value/],
        [{ features: [{ feature: many(3), operation: 'ADD', value: 1e30 }] }, 'BAD_INPUT', 'features.0.operation.value', /at most 1000000/],
        [{ features: [{ feature: many(3), operation: 'ABLATE', positions: [4] }] }, 'BAD_INPUT', 'features.0.positions.0', /position 4 is outside/],
      ];
      const patches = bad.flatMap(([change]): Json[] => [{ ...(good as object), ...(change as object) }, good]);
      const payload = at(await ask(PATCHES, { input: { patches } }), 'patches');
      const single = at(await ask(PATCH, { input: good }), 'patch.patchRun');
      for (const [i, [, code, field, message]] of bad.entries()) {
        assert.equal(at(payload, `results.${2 * i}.patchRun`), null);
        const error = at(payload, `results.${2 * i}.userErrors.0`);
        assert.deepEqual([at(error, 'code'), (at(error, 'field') as string[]).join('.')], [code, field]);
        assert.match(String(at(error, 'message')), message);
        assert.deepEqual(at(payload, `results.${2 * i + 1}`), { patchRun: single, userErrors: [] });
      }
      // NaN is no GraphQL, and neither it nor Infinity is JSON.
      const literal = (value: string) => send(`mutation { patch(input: { model: "${TINY}", base: "w1", features: [{ feature: "${many(0)}", operation: SET, value: ${value} }] }) { userErrors { code message } } }`);
      assert.equal((await literal('NaN')).status, 400);
      assert.deepEqual(at((await literal('1e999')).data, 'patch.userErrors.0.code'), 'BAD_INPUT');
      for (const [patches2, code] of [[[], 'BAD_INPUT'], [Array.from({ length: LIMITS.patches + 1 }, () => good), 'LIMIT_EXCEEDED']] as const) {
        const refused = at(await ask(PATCHES, { input: { patches: [...patches2] } }), 'patches');
        assert.deepEqual([at(refused, 'results'), at(refused, 'userErrors.0.code'), at(refused, 'userErrors.0.field')], [null, code, ['patches']]);
      }
    });

    await t.test('one that overflows does not spoil the batch', async () => {
      const over = { model: TINY, base: 'w5 w9 w11 w31', features: Array.from({ length: MANY }, (_, j) => ({ feature: many(j), operation: 'SET', value: 1e6 })), error: 'KEEP' };
      const results = list(await ask(PATCHES, { input: { patches: [ablated(60), { ...over, features: [{ feature: many(0), operation: 'SCALE', value: 1e6 }] }, over, ablated(61)] } }), 'patches.results');
      assert.deepEqual([0, 3].map((i) => at(results[i], 'userErrors')), [[], []]);
      for (const i of [0, 3]) assert.deepEqual(at(results[i], 'patchRun'), at(await ask(PATCH, { input: ablated(60 + i / 3) }), 'patch.patchRun'));
    });

    await t.test('defaults that are spelled out, and `ablate`, give the same run', async () => {
      const plain = at(await ask(PATCH, { input: ablated(2) }), 'patch.patchRun');
      const spelled = { ...(ablated(2) as object), target: null, error: 'KEEP', allPositions: false, tokens: [], logitDifference: null, loss: false, watch: [], topTokens: 5, readPositions: [-1] };
      assert.deepEqual(at(await ask(PATCH, { input: spelled }), 'patch.patchRun'), plain);
      const short = await ask(ABLATE, { input: { model: TINY, prompt: 'w5 w9 w11 w30', features: [many(2)] } });
      assert.deepEqual(at(short, 'ablate'), { patchRun: plain, userErrors: [] });
      for (const change of [{ error: 'REMOVE' }, { allPositions: true }, { tokens: ['w1'] }, { logitDifference: [{ positive: 'w1', negative: 'w2' }] }, { loss: true }, { watch: [many(1)] }]) {
        assert.notEqual(at(await ask(PATCH, { input: { ...spelled, readPositions: null, ...change } }), 'patch.patchRun.hash'), at(plain, 'hash'));
      }
      for (const [change, field, message] of [
        [{ prompt: '' }, ['prompt'], /^prompt is empty/],
        [{ features: ['x'] }, ['features', '0'], /no feature address/],
        [{ features: [many(999)] }, ['features', '0'], /0 to 199/],
        [{ positions: [9] }, ['positions', '0'], /position 9/],
      ] as const) {
        const error = at(await ask(ABLATE, { input: { model: TINY, prompt: 'w5 w9 w11 w30', features: [many(2)], ...change } as Json }), 'ablate.userErrors.0');
        assert.deepEqual(at(error, 'field'), field);
        assert.match(String(at(error, 'message')), message);
      }
    });

    await t.test('a run stored before all this is still read', async () => {
      const { id, ...old }: PatchRun = {
        id: 'ab'.repeat(32),
        input: { model: TINY, base: 'w1', target: null, features: [{ feature: { model: TINY, dictionary: 'many', index: 1 }, operation: { kind: 'set', value: 2 }, positions: null }], readPositions: null, topTokens: 1 },
        result: {
          tokens: ['w1'], targetTokens: null, editMagnitude: 0.5,
          positions: [{ position: 0, token: 'w1', klFromBase: 0.25, klFromTarget: null, klBaseFromTarget: null, changes: [] }],
          features: [{ feature: { model: TINY, dictionary: 'many', index: 1 }, hookPoint: 'resid_post.0', before: [0], after: [2] }],
        },
        weightsHash: 'cd', codeVersion: '0.0.1', createdAt: '2026-01-02T03:04:05.000Z', milliseconds: 5,
      }; // prettier-ignore
      assert.equal(await catalog.reader.savePatchRun({ id, ...old }), true);
      assert.equal(await catalog.reader.savePatchRun({ id, ...old, milliseconds: 6 }), false);
      const data = await ask(`query ($id: ID!) { patchRun(id: $id) { ${RUN} } }`, { id: Buffer.from(`PatchRun:${id}`).toString('base64url') });
      assert.deepEqual(at(data, 'patchRun'), {
        hash: id, error: 'KEEP', editMagnitude: 0.5, editMagnitudes: null, loss: null, watched: [],
        features: [{ address: many(1), operation: 'SET', value: 2, positions: null, before: [0], after: [2] }],
        positions: [{ position: 0, klFromBase: 0.25, klFromTarget: null, changes: [], namedTokens: [], logitDifferences: [] }],
      }); // prettier-ignore
    });

    await t.test('when too much waits, callers are told when to come back, in the mutation and by header', async () => {
      const release = hold();
      const places = LIMITS.liveRunning + LIMITS.liveWaiting;
      let answered = 0;
      const admitted = Array.from({ length: places }, (_, i) => ask(PATCH, { input: ablated(100 + i) }).finally(() => answered++));
      // Not before: one more would take a place of theirs, and wait for what this test holds.
      while (occupied() < places) await new Promise((resolve) => setTimeout(resolve, 5));
      const refused = at(await ask(PATCH, { input: ablated(100 + places) }), 'patch');
      assert.equal(answered, 0);
      assert.equal(at(refused, 'userErrors.0.code'), 'BUSY');
      assert.ok(Number(at(refused, 'userErrors.0.retryAfterSeconds')) > 0);
      // A batch is refused as one, each patch of it told so; what is stored is answered all the same.
      const batch = list(await ask(PATCHES, { input: { patches: [ablated(198), ablated(2), ablated(199)] } }), 'patches.results');
      assert.deepEqual(batch.map((one) => at(one, 'patchRun') !== null), [false, true, false]);
      assert.deepEqual([0, 2].map((i) => at(batch[i], 'userErrors.0.code')), ['BUSY', 'BUSY']);
      const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query: `{ activations(model: "${TINY}", text: "w1") { tokens } }` }) });
      assert.ok(Number(response.headers.get('retry-after')) >= 1);
      assert.match(await response.text(), /"code":"BUSY","retryAfterSeconds":/);
      release();
      for (const data of await Promise.all(admitted)) assert.deepEqual(at(data, 'patch.userErrors'), []);
    });
  });
});
