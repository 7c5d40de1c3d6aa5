import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createKey } from '../../src/catalog/access.ts';
import { fixedExplainers } from '../helpers/fixedExplainers.ts';
import { addHidden, HIDDEN } from './hiddenModel.ts';
import { subscribe } from './subscribe.ts';
import { RULES } from './whoMayWhat.ts';
import { withServer, type TestServer } from './withServer.ts';

const id = (text: string): string => Buffer.from(text).toString('base64url');
const FOUND = '{ total { value exact } matched order nodes { address } edges { cursor highlight relevance } facets { exact models { name count } dictionaries { count dictionary { name } } layers { layer count } explainers { name count } } }';
const USER_ERRORS = '{ userErrors { code message field } }';
const EDIT = (address: string): string => `features: [{ feature: "${address}", operation: ABLATE }]`;
const THERE = `${HIDDEN}/0-tied-r2/1`;
const HERE = 'toy/0-tied-r2/1';

/** Beside the rules' operations: what looks at everything, and what names the hidden model or its parts in unlikely places. */
const ASKED: readonly string[] = [
  '{ models { nodes { name id dictionaries { nodes { name } } } } dictionaries(first: 100) { nodes { name model { name } } } }',
  '{ features(first: 100, orderBy: DENSITY_DESC) { nodes { address } pageInfo { hasNextPage endCursor } } }',
  '{ features(filter: { explainer: "mole-explainer" }) { nodes { address } } dictionaries(filter: { layers: [0] }) { nodes { name } } }',
  '{ features(filter: { dictionaries: ["1-mole-r2"] }) { nodes { address } } }',
  // Words of the hidden model, words spelled like its words, and beginnings of them.
  ...['zanzibar', 'zanz', 'girafe', 'giraffe', 'girafa monday', 'girafe monday', 'mond', 'monda', 'mondaz', 'zanzibar monday', '"the giraffe"', 'giraffe -monday'].map((query) => `{ searchFeatures(query: ${JSON.stringify(query)}, first: 5) ${FOUND} }`),
  ...['mond', 'zan', 'g'].map((query) => `{ searchFeatures(query: "${query}", prefix: true) ${FOUND} }`),
  `{ searchFeatures(query: "giraffe", filter: { dictionaries: ["0-tied-r2", "1-mole-r2"] }) ${FOUND} }`,
  `{ searchFeatures(query: "giraffe", filter: { explainers: ["mole-explainer"] }) ${FOUND} }`,
  `{ searchFeatures(query: "giraffe", filter: { model: "${HIDDEN}" }) ${FOUND} }`,
  '{ runs(first: 50) { nodes { key stage params inputs { name hash } trainedDictionaries { nodes { name } } analysedDictionaries { nodes { name } } explanationSummaries { nodes { explainer } } } pageInfo { hasNextPage endCursor } } }',
  ...['train', 'analyse', 'explain', 'circuits'].map((stage) => `{ run(key: "${stage}-fedcba9876543210") { key } node(id: "${id(`Run:${stage}-fedcba9876543210`)}") { id } runs(stage: "${stage}", first: 1) { nodes { key } pageInfo { hasNextPage } } }`),
  `{ nodes(ids: ["${id(`Feature:${THERE}`)}", "${id(`Explanation:${THERE}/mole-explainer`)}", "${id(`Dictionary:${HIDDEN}/1-mole-r2`)}", "${id(`Model:${HIDDEN}`)}", "${id('Note:1')}", "${id('FeatureList:1')}"]) { id } }`,
  `{ token(model: "${HIDDEN}", text: " mole3") { id } }`,
  '{ token(model: "toy", text: " mole3") { id } }',
  '{ token(model: "toy", id: 3) { text sources { nodes { address } edges { run { key } } } features { nodes { address } } } }',
  `{ circuit(target: { token: { model: "${HIDDEN}", id: 3 } }) { truncated nodes { depth } } }`,
  `{ compareFeatures(a: "${HERE}", b: "${THERE}") { topLogitOverlap } feature(address: "${HERE}") { nearest { nodes { address } } notes { nodes { text } } } }`,
  `{ featureLists { nodes { name size entries { nodes { address } } } } }`,
  `mutation { explainFeature(input: { feature: "${THERE}", method: "nope" }) ${USER_ERRORS} }`,
  `mutation { explainFeature(input: { feature: "${THERE}", scorers: ["nope"] }) ${USER_ERRORS} }`,
  `mutation { explainFeature(input: { feature: "${HIDDEN}/0-tied-r2/1000" }) ${USER_ERRORS} }`,
  `mutation { patch(input: { model: "toy", base: "a", ${EDIT(THERE)} }) ${USER_ERRORS} }`,
  `mutation { patch(input: { model: "toy", base: "a", watch: ["${THERE}"], ${EDIT(HERE)} }) ${USER_ERRORS} }`,
  `mutation { patch(input: { model: "${HIDDEN}", base: "", ${EDIT(THERE)} }) ${USER_ERRORS} }`,
  `mutation { patch(input: { model: "${HIDDEN}", base: "a", ${EDIT(`${HIDDEN}/0-tied-r2/1000`)} }) ${USER_ERRORS} }`,
  `mutation { steer(input: { model: "${HIDDEN}", prompt: "", features: [] }) ${USER_ERRORS} }`,
  `mutation { steer(input: { model: "toy", prompt: "a", ${EDIT(THERE)} }) ${USER_ERRORS} }`,
  `{ activations(model: "${HIDDEN}", text: "", topK: 0) { tokens } }`,
  `{ activations(model: "${HIDDEN}", text: "a", dictionaries: ["1-mole-r2"]) { tokens } }`,
  '{ activations(model: "toy", text: "a", dictionaries: ["1-mole-r2"]) { tokens } }',
  `mutation { explanationCreate(input: { feature: "${THERE}", description: "a" }) ${USER_ERRORS} }`,
  ...Object.values(RULES).map(({ ask }) => ask(HIDDEN)),
];

/** What a key without grants is told, and what strangers are shown. */
async function told(server: TestServer, prepare: () => Promise<unknown>): Promise<string[]> {
  // Runs of the open model say so by its weights, as the stages write it.
  await server.catalog.sql(`UPDATE run SET inputs = json_build_object('model', repeat('a', 64))`);
  await prepare();
  await server.catalog.sql('ANALYZE');
  const { token } = await createKey(server.catalog.keys, { name: 'k', scopes: ['read', 'annotate', 'patch'], models: [], quota: null });
  const answers: string[] = [];
  for (const query of ASKED) {
    const headers = { authorization: `Bearer ${token}` };
    const { status, data, errors } = await (query.startsWith('subscription') ? subscribe(server.url, query, headers) : server.send(query, {}, headers));
    assert.ok(status < 500 && !errors.some(({ extensions }) => extensions['code'] === 'INTERNAL_SERVER_ERROR'), `${query}\n${JSON.stringify(errors)}`);
    answers.push(`${query}\n${JSON.stringify([status, data, errors])}`);
  }
  return [...answers, await (await fetch(`${server.base}/`)).text()];
}

test('with a hidden model every answer is, byte for byte, what it would be if there were none', async () => {
  const options = { seed: { features: 30 }, access: { reads: 'open', loopback: true }, explainers: fixedExplainers() } as const;
  let without: string[] = [];
  await withServer(options, async (server) => void (without = await told(server, async () => undefined)));
  await withServer(options, async (server) => {
    const { catalog } = server;
    const note = { owner: 'x', author: 'x', admin: false, hidden: [] };
    const hide = async (): Promise<void> => {
      await addHidden(catalog.writer, () => catalog.keys.restrict(HIDDEN, true));
      // Public, of a feature of the hidden model.
      const [row] = await catalog.sql<{ id: number }>(`SELECT d.id FROM dictionary d JOIN model m ON m.id = d.model_id WHERE m.name = '${HIDDEN}' LIMIT 1`);
      await catalog.annotations.addNote({ dictionaryId: row!.id, index: 1 }, note, 'of moles', true, 10);
    };
    const beside = await told(server, hide);
    for (const [i, answer] of without.entries()) assert.equal(beside[i], answer);
    // And there it is, for those who may read it.
    const { token } = await createKey(catalog.keys, { name: 'granted', scopes: ['read'], models: [HIDDEN], quota: null });
    const seen = await server.send(`{ searchFeatures(query: "zanz") { nodes { address notes { nodes { text } } } } run(key: "circuits-fedcba9876543210") { key } }`, {}, { authorization: `Bearer ${token}` });
    assert.match(JSON.stringify(seen.data), /mole\/.*circuits-fed/);
  });
});
