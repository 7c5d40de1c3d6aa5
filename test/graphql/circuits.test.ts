import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tQuantile } from '../../src/causal/interval.ts';
import { at, list, type Json } from '../helpers/graphqlClient.ts';
import { withServer } from './withServer.ts';

const errorOf = (answer: { readonly errors?: unknown }): { message: string; code: string; field: string[] } => {
  const [error] = answer.errors as { message: string; extensions: { code: string; field?: string[] } }[];
  return { message: error!.message, code: error!.extensions.code, field: error!.extensions.field ?? [] };
};

test('circuits as data', async (t) => {
  await withServer({ seed: { features: 40, layers: 3, seed: 7 } }, async ({ ask, send, catalog }) => {
    await t.test('what a feature does to tokens, paged, with intervals', async () => {
      const source = `query ($first: Int!, $after: String) { feature(address: "toy/1-tied-r2/5") { outputTokens(first: $first, after: $after) {
        edges { effect standardError n interval { low high } node { id text } run { stage } } nodes { id } pageInfo { hasNextPage hasPreviousPage endCursor } } } }`;
      const half = tQuantile(8) * 0.25;
      const data = await ask(source, { first: 1 });
      assert.deepEqual(at(data, 'feature.outputTokens.edges'), [
        { effect: 2, standardError: 0.25, n: 9, interval: { low: 2 - half, high: 2 + half }, node: { id: 5, text: ' t5' }, run: { stage: 'circuits' } },
      ]);
      assert.equal(at(data, 'feature.outputTokens.pageInfo.hasNextPage'), true);
      const next = await ask(source, { first: 1, after: at(data, 'feature.outputTokens.pageInfo.endCursor') });
      assert.deepEqual(list(next, 'feature.outputTokens.edges').map((edge) => [at(edge, 'effect'), at(edge, 'node.id')]), [[-1, 6]]);
      assert.deepEqual([at(next, 'feature.outputTokens.pageInfo.hasNextPage'), at(next, 'feature.outputTokens.pageInfo.hasPreviousPage')], [false, true]);
      const wrong = await send(source, { first: 101 });
      assert.equal(errorOf(wrong).code, 'LIMIT_EXCEEDED');
      const circuitCursor = at(await ask('{ feature(address: "toy/1-tied-r2/5") { incomingEdges { pageInfo { endCursor } } } }'), 'feature.incomingEdges.pageInfo.endCursor');
      assert.equal(errorOf(await send(source, { first: 1, after: circuitCursor })).code, 'BAD_CURSOR');
    });

    await t.test('what feeds a token, by text or id, paged', async () => {
      const source = `query ($text: String, $id: Int, $after: String) { token(model: "toy", text: $text, id: $id) { id text sources(first: 4, after: $after) {
        edges { effect node { address } } pageInfo { hasNextPage endCursor } } } }`;
      const seen: Json[] = [];
      let after: Json = null;
      for (let pages = 0; pages < 5; pages++) {
        const page: Json = await ask(source, { text: ' t7', after });
        seen.push(...list(page, 'token.sources.edges').map((edge) => [at(edge, 'effect'), at(edge, 'node.address')]));
        after = at(page, 'token.sources.pageInfo.endCursor');
        if (at(page, 'token.sources.pageInfo.hasNextPage') === false) break;
      }
      assert.deepEqual(seen, [
        [3, 'toy/2-tied-r2/7'], [2, 'toy/1-tied-r2/7'], [-1.5, 'toy/2-tied-r2/6'], [1, 'toy/0-tied-r2/7'], [-1, 'toy/1-tied-r2/6'], [-0.5, 'toy/0-tied-r2/6'],
      ]);
      assert.deepEqual(at(await ask(source, { id: 7 }), 'token.text'), ' t7');
      assert.equal(at(await ask(source, { id: 50 }), 'token'), null);
      assert.equal(at(await ask(source, { id: -1 }), 'token'), null);
      assert.equal(at(await ask('{ token(model: "nope", text: "x") { id } }'), 'token'), null);
      assert.deepEqual(list(await ask(source, { id: 45 }), 'token.sources.edges'), []);
    });

    await t.test('a text that is no single token is an error that says what to do', async () => {
      const ofText = async (text: string) => errorOf(await send('query ($text: String!) { token(model: "toy", text: $text) { id } }', { text }));
      assert.deepEqual(await ofText('t7'), { message: '"t7" is no single token of model toy: it has " t7"', code: 'BAD_INPUT', field: ['text'] });
      assert.match((await ofText(' t7 t8')).message, /^" t7 t8" is no single token of model toy: expected the exact text of one, spaces included/);
      assert.equal((await ofText('')).code, 'BAD_INPUT');
      assert.equal((await ofText('x'.repeat(201))).code, 'TEXT_TOO_LONG');
      await catalog.sql(`UPDATE token SET text = '�' WHERE id IN (48, 49)`);
      assert.equal((await ofText('�')).message, '"�" is the text of 2 tokens of model toy: say which by id: 48, 49');
      for (const choice of ['', ', text: " t1", id: 1']) {
        assert.match(errorOf(await send(`{ token(model: "toy"${choice}) { id } }`)).message, /expected one of them/);
      }
    });

    await t.test('the graph upstream of a feature, in one query', async () => {
      const data = await ask(`{ circuit(target: { feature: "toy/2-tied-r2/5" }, depth: 2) { truncated
        target { depth feature { address } token { id } } nodes { depth feature { address bestExplanation { description } } }
        edges { effect n interval { low } source { feature { address } } target { feature { address } } run { stage } } } }`);
      const circuit = at(data, 'circuit');
      assert.equal(at(circuit, 'truncated'), false);
      assert.deepEqual(at(circuit, 'target'), { depth: 0, feature: { address: 'toy/2-tied-r2/5' }, token: null });
      assert.deepEqual(list(circuit, 'nodes').map((node) => [at(node, 'depth'), at(node, 'feature.address')]), [
        [0, 'toy/2-tied-r2/5'], [1, 'toy/1-tied-r2/5'], [1, 'toy/1-tied-r2/6'], [2, 'toy/0-tied-r2/5'], [2, 'toy/0-tied-r2/6'], [2, 'toy/0-tied-r2/7'],
      ]);
      const edges = list(circuit, 'edges').map((edge) => `${String(at(edge, 'source.feature.address'))} ${String(at(edge, 'effect'))} ${String(at(edge, 'target.feature.address'))}`);
      assert.deepEqual(edges, [
        'toy/1-tied-r2/5 0.75 toy/2-tied-r2/5', 'toy/1-tied-r2/6 -0.5 toy/2-tied-r2/5',
        'toy/0-tied-r2/5 0.75 toy/1-tied-r2/5', 'toy/0-tied-r2/6 0.75 toy/1-tied-r2/6', 'toy/0-tied-r2/6 -0.5 toy/1-tied-r2/5', 'toy/0-tied-r2/7 -0.5 toy/1-tied-r2/6',
      ]);
      assert.deepEqual(at(circuit, 'edges.0.run'), { stage: 'circuits' });
    });

    await t.test('the graph upstream of a token', async () => {
      const data = await ask(`{ circuit(target: { token: { model: "toy", text: " t7" } }, minEffect: 0.6, perNode: 2) { target { token { text } }
        nodes { depth feature { address } token { id } } edges { effect source { feature { address } } target { token { text } feature { address } } } } }`);
      assert.deepEqual(at(data, 'circuit.target.token.text'), ' t7');
      assert.deepEqual(list(data, 'circuit.edges').map((edge) => [at(edge, 'effect'), at(edge, 'source.feature.address'), at(edge, 'target.token'), at(edge, 'target.feature')]), [
        [3, 'toy/2-tied-r2/7', { text: ' t7' }, null],
        [2, 'toy/1-tied-r2/7', { text: ' t7' }, null],
        [0.75, 'toy/0-tied-r2/7', null, { address: 'toy/1-tied-r2/7' }],
        [0.75, 'toy/1-tied-r2/7', null, { address: 'toy/2-tied-r2/7' }],
      ]);
      assert.equal(list(data, 'circuit.nodes').filter((node) => at(node, 'token') !== null).length, 1);
    });

    await t.test('limits and mistakes', async () => {
      const cut = await ask('{ circuit(target: { feature: "toy/2-tied-r2/5" }, first: 3) { truncated edges { effect } } }');
      assert.deepEqual([at(cut, 'circuit.truncated'), list(cut, 'circuit.edges').length], [true, 3]);
      assert.equal(at(await ask('{ circuit(target: { feature: "toy/2-tied-r2/40" }) { truncated } }'), 'circuit'), null);
      assert.equal(at(await ask('{ circuit(target: { token: { model: "nope", id: 1 } }) { truncated } }'), 'circuit'), null);
      const failing = async (args: string) => errorOf(await send(`{ circuit(${args}) { truncated } }`));
      const target = 'target: { feature: "toy/2-tied-r2/5" }';
      assert.deepEqual(await failing(`${target}, depth: 9`), { message: 'depth is 9: expected 1 to 8', code: 'LIMIT_EXCEEDED', field: ['depth'] });
      assert.deepEqual((await failing(`${target}, first: 501`)).field, ['first']);
      assert.deepEqual((await failing(`${target}, perNode: 0`)).field, ['perNode']);
      assert.deepEqual((await failing(`${target}, minEffect: -1`)).field, ['minEffect']);
      assert.match((await failing('target: {}')).message, /names neither a feature nor a token/);
      assert.match((await failing('target: { feature: "toy/2-tied-r2/5", token: { model: "toy", id: 1 } }')).message, /a feature and a token/);
      assert.match((await failing('target: { token: { model: "toy", text: "t7" } }')).message, /no single token/);
      assert.equal((await failing('target: { feature: "nonsense" }')).code, 'BAD_INPUT');
    });

    await t.test('as many statements for a large circuit or page as for a small one', async () => {
      const source = `query ($first: Int!, $depth: Int!) {
        circuit(target: { feature: "toy/2-tied-r2/5" }, first: $first, depth: $depth) {
          nodes { feature { address dictionary { model { name } } bestExplanation { description } outputTokens(first: 2) { edges { effect node { text sources(first: 1) { nodes { address } } } } } } }
          edges { effect source { feature { address } } target { feature { address } } run { key } } } }`;
      const counts: number[] = [];
      for (const [first, depth] of [[2, 1], [500, 2], [500, 8]]) {
        catalog.statements.length = 0;
        await ask(source, { first: first!, depth: depth! });
        counts.push(catalog.statements.length);
      }
      t.diagnostic(`statements: ${counts.join(', ')}`);
      assert.deepEqual(counts, [counts[0], counts[0], counts[0]]);
    });
  });
});
