import assert from 'node:assert/strict';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { pino } from 'pino';
import { fileArtefacts } from '../../src/adapters/files/artefacts.ts';
import { openSubjectModel } from '../../src/adapters/ort/openSubjectModel.ts';
import { openTokenizer } from '../../src/adapters/tokenizers/openTokenizer.ts';
import { promptIds } from '../../src/catalog/prompt.ts';
import { klDivergence, logSoftmax } from '../../src/causal/divergence.ts';
import { encode } from '../../src/dictionary/encode.ts';
import type { DictionaryWeights } from '../../src/domain/dictionary.ts';
import { readConfig } from '../../src/config.ts';
import { parseHookPoint } from '../../src/domain/hookPoint.ts';
import { startServer } from '../../src/main.ts';
import type { SubjectModel } from '../../src/ports/SubjectModel.ts';
import type { Tokenizer } from '../../src/ports/Tokenizer.ts';
import { ask, at, list, send } from '../helpers/graphqlClient.ts';
import { loadSeeded } from '../helpers/seedCatalog.ts';
import { randomDictionary } from '../helpers/randomDictionary.ts';
import { tiedDictionary } from '../helpers/tiedDictionary.ts';
import { withCatalog, type TestCatalog } from '../helpers/withCatalog.ts';
import { withFolder } from '../helpers/withFolder.ts';

const MODEL = resolve(import.meta.dirname, '../../models/demo');
const NAME = 'demo';
const TEXT = 'Once upon a time, there was a little dog.';
const FEATURES = 96;

/** Random dictionaries of a real model, as artefacts in `home` and as rows in the catalog. */
async function seedReal(catalog: TestCatalog, home: string, model: SubjectModel, tokenizer: Tokenizer): Promise<DictionaryWeights[]> {
  const artefacts = fileArtefacts();
  const tokens = Array.from({ length: model.info.vocabSize }, (_, id) => (id < tokenizer.size ? tokenizer.token(id) : ''));
  await catalog.writer.loadModel({ ...model.info, source: MODEL }, tokens);
  const written: DictionaryWeights[] = [];
  const D = model.info.dModel;
  const dictionaries = [
    tiedDictionary('1-random', 'resid_post.1', D, FEATURES, { seed: 5, bias: -0.5 }),
    randomDictionary('1-topk', 'resid_post.1', D, FEATURES, { seed: 6, architecture: 'topk', k: 7 }),
    randomDictionary('2-transcoder', 'mlp_in.2', D, FEATURES, { seed: 7, architecture: 'jumprelu', threshold: 0.8, inputScale: 0.9, outputHookPoint: 'mlp_out.2', outputScale: 1.7, skip: true }),
    tiedDictionary('3-random', 'resid_post.3', D, FEATURES, { seed: 5, bias: -0.5 }),
  ];
  for (const random of dictionaries) {
    const location = join('dictionaries', random.config.name);
    const weights = await artefacts.writeDictionary(join(home, location), { ...random, config: { ...random.config, model: NAME } }, null);
    await loadSeeded(catalog.writer, weights.config, location, parseHookPoint(weights.config.hookPoint).layer);
    written.push(weights);
  }
  return written;
}

/** Activations by the definition, of what the model itself gives. [T][F]. */
async function reference(model: SubjectModel, ids: Int32Array, weights: DictionaryWeights): Promise<number[][]> {
  const { hookPoint, nFeatures } = weights.config;
  const { taps } = await model.forward({ batch: { rows: 1, cols: ids.length, ids, lengths: Int32Array.of(ids.length) }, taps: [hookPoint], logits: 'none' });
  const codes = encode(weights, taps.get(hookPoint)!);
  return Array.from(ids, (_, t) => [...codes.subarray(t * nFeatures, (t + 1) * nFeatures)]);
}

const PATCH = `mutation ($input: PatchInput!) { patch(input: $input) { userErrors { code field message } patchRun {
  id hash modelName base target tokens targetTokens editMagnitude weightsHash codeVersion model { name }
  features { address hookPoint operation value positions before after feature { index } }
  positions { position token klFromBase klFromTarget klBaseFromTarget changes { token baseLogProb patchedLogProb baseRank patchedRank } } } } }`;

test('live runs on a real model through the whole server', async (t) => {
  await withFolder((home) =>
    withCatalog(async (catalog) => {
      const model = await openSubjectModel(MODEL, { device: 'cpu', workers: 1 });
      const tokenizer = await openTokenizer(MODEL);
      const weights = await seedReal(catalog, home, model, tokenizer);
      const server = await startServer(
        { ...readConfig({}), home, host: '127.0.0.1', port: 0, databaseUrl: catalog.url, device: 'cpu', workers: 1, logLevel: 'silent', hubToken: undefined },
        pino({ level: 'silent' }),
      );
      try {
        await t.test('activations are those of the definition, strongest first', async () => {
          const data = await ask(server.url, `query ($text: String!) { activations(model: "${NAME}", text: $text, topK: 4) {
            model { name } tokens dictionaries { dictionary { name } activeFeatures strongest { address activation position feature { index } }
              tokens { position text activeFeatures features { address activation position } } } } }`, { text: TEXT });
          const ids = promptIds(tokenizer, model.info.contextLength, TEXT, 'text');
          assert.deepEqual(at(data, 'activations.tokens'), Array.from(ids, (id) => tokenizer.token(id)));
          for (const [i, dictionary] of weights.entries()) {
            const expected = await reference(model, ids, dictionary);
            const found = at(data, `activations.dictionaries.${i}`);
            assert.equal(at(found, 'dictionary.name'), dictionary.config.name);
            assert.ok(Number(at(found, 'activeFeatures')) > 0);
            expected.forEach((activations, position) => {
              const token = at(found, `tokens.${position}`);
              assert.equal(at(token, 'activeFeatures'), activations.filter((a) => a > 0).length);
              const top = activations.map((a, j) => [a, j] as const).filter(([a]) => a > 0).sort((a, b) => b[0] - a[0]).slice(0, 4);
              assert.deepEqual(list(token, 'features').map((hit) => at(hit, 'address')), top.map(([, j]) => `${NAME}/${dictionary.config.name}/${j}`));
              list(token, 'features').forEach((hit, k) => assert.ok(Math.abs(Number(at(hit, 'activation')) - top[k]![0]) < 1e-3 * (1 + top[k]![0])));
            });
            const largest = Math.max(...expected.flat());
            assert.ok(Math.abs(Number(at(found, 'strongest.0.activation')) - largest) < 1e-3 * (1 + largest));
          }
        });

        await t.test('what kind of dictionary each is', async () => {
          const data = await ask(server.url, `{ model(name: "${NAME}") { dictionaries { nodes { name architecture hookPoint outputHookPoint k layer } } } }`);
          assert.deepEqual(list(data, 'model.dictionaries.nodes'), [
            { name: '1-random', architecture: 'TIED', hookPoint: 'resid_post.1', outputHookPoint: null, k: null, layer: 1 },
            { name: '1-topk', architecture: 'TOPK', hookPoint: 'resid_post.1', outputHookPoint: null, k: 7, layer: 1 },
            { name: '2-transcoder', architecture: 'JUMPRELU', hookPoint: 'mlp_in.2', outputHookPoint: 'mlp_out.2', k: null, layer: 2 },
            { name: '3-random', architecture: 'TIED', hookPoint: 'resid_post.3', outputHookPoint: null, k: null, layer: 3 },
          ]);
          const filtered = await ask(server.url, '{ dictionaries(filter: { architectures: [JUMPRELU, NMF] }) { nodes { name } } }');
          assert.deepEqual(filtered, { dictionaries: { nodes: [{ name: '2-transcoder' }] } });
        });

        await t.test('features of a transcoder and of the k largest are read and edited as their dictionaries say', async () => {
          const ids = promptIds(tokenizer, model.info.contextLength, TEXT, 'text');
          const batch = { rows: 1, cols: ids.length, ids, lengths: Int32Array.of(ids.length) };
          const [, topk, transcoder] = weights;
          for (const [dictionary, edited] of [[topk, 'resid_post.1'], [transcoder, 'mlp_out.2']] as const) {
            const { nFeatures, dOut, outputScale, name } = dictionary!.config;
            const codes = await reference(model, ids, dictionary!);
            // Active at some positions but not at all, so that leaving out the choice would show.
            const feature = codes[0]!.findIndex((_, j) => codes.filter((row) => row[j]! > 0).length > 1 && codes.some((row) => row[j] === 0));
            assert.ok(feature >= 0 && feature < nFeatures);
            const c = codes.map((row) => row[feature]!);
            const delta = Float32Array.from({ length: ids.length * dOut }, (_, i) => -c[Math.floor(i / dOut)]! * outputScale * dictionary!.decoder[feature * dOut + (i % dOut)]!);
            const [clean, patched] = await Promise.all([[], [{ at: edited, delta }]].map(async (edits) => logSoftmax((await model.forward({ batch, edits, taps: [], logits: 'last' })).logits!, 0, model.info.vocabSize)));
            const data = await ask(server.url, PATCH, { input: { model: NAME, base: TEXT, features: [{ feature: `${NAME}/${name}/${feature}`, operation: 'ABLATE' }] } });
            assert.deepEqual(at(data, 'patch.userErrors'), []);
            const run = at(data, 'patch.patchRun');
            assert.equal(at(run, 'features.0.hookPoint'), edited);
            list(run, 'features.0.before').forEach((value, t) => assert.ok(Math.abs(Number(value) - c[t]!) < 1e-4));
            const expected = klDivergence(patched!, clean!);
            assert.ok(expected > 1e-9 && Math.abs(Number(at(run, 'positions.0.klFromBase')) - expected) < 1e-6 + 1e-3 * expected);
            const norm = Array.from(ids, (_, t) => Math.hypot(...delta.subarray(t * dOut, (t + 1) * dOut))).reduce((sum, length) => sum + length, 0) / ids.length;
            assert.ok(Math.abs(Number(at(run, 'editMagnitude')) - norm) < 1e-4 * norm);
          }
        });

        await t.test('a feature that fires can be ablated: the output moves, the run is stored and found again', async () => {
          const live = await ask(server.url, `query ($text: String!) { activations(model: "${NAME}", text: $text, dictionaries: ["3-random"], topK: 1) { dictionaries { strongest { address position } } } }`, { text: TEXT });
          const address = String(at(live, 'activations.dictionaries.0.strongest.0.address'));
          const input = { model: NAME, base: TEXT, features: [{ feature: address, operation: 'ABLATE' }], topTokens: 3 };
          const data = await ask(server.url, PATCH, { input });
          assert.deepEqual(at(data, 'patch.userErrors'), []);
          const run = at(data, 'patch.patchRun');
          assert.ok(Number(at(run, 'editMagnitude')) > 0);
          assert.ok(Number(at(run, 'positions.0.klFromBase')) > 1e-6);
          assert.equal(at(run, 'positions.0.klFromTarget'), null);
          assert.equal(list(run, 'positions.0.changes').length, 3);
          assert.equal(at(run, 'features.0.address'), address);
          assert.equal(at(run, 'features.0.operation'), 'ABLATE');
          assert.ok(list(run, 'features.0.before').some((a) => Number(a) > 0));
          assert.ok(list(run, 'features.0.after').every((a) => a === 0));
          const again = await ask(server.url, PATCH, { input });
          assert.deepEqual(at(again, 'patch.patchRun'), run);
          const stored = await ask(server.url, 'query ($id: ID!) { patchRun(id: $id) { id editMagnitude positions { klFromBase } } node(id: $id) { __typename id } }', { id: at(run, 'id') });
          assert.deepEqual(stored, {
            patchRun: { id: at(run, 'id'), editMagnitude: at(run, 'editMagnitude'), positions: [{ klFromBase: at(run, 'positions.0.klFromBase') }] },
            node: { __typename: 'PatchRun', id: at(run, 'id') },
          });
        });

        await t.test('replacing every feature of a target moves towards it; scaling by 1 changes nothing', async () => {
          const features = Array.from({ length: FEATURES }, (_, j) => ({ feature: `${NAME}/3-random/${j}`, operation: 'REPLACE_FROM_TARGET' }));
          const target = TEXT.replace('dog', 'cat');
          const data = await ask(server.url, PATCH, { input: { model: NAME, base: TEXT, target: TEXT, features: features.slice(0, 3) } });
          const same = at(data, 'patch.patchRun.positions.0');
          assert.ok(Number(at(same, 'klFromBase')) < 1e-6 && Number(at(same, 'klFromTarget')) < 1e-6);
          const moved = await ask(server.url, PATCH, { input: { model: NAME, base: TEXT, target, features, readPositions: [-1, -2] } });
          assert.deepEqual(at(moved, 'patch.userErrors'), []);
          assert.equal(list(moved, 'patch.patchRun.positions').length, 2);
          for (const position of list(moved, 'patch.patchRun.positions')) {
            for (const name of ['klFromBase', 'klFromTarget', 'klBaseFromTarget']) assert.ok(Number(at(position, name)) > 0, name);
          }
          const shorter = await ask(server.url, PATCH, { input: { model: NAME, base: TEXT, target: 'Once', features: features.slice(0, 1) } });
          assert.equal(at(shorter, 'patch.userErrors.0.code'), 'BAD_INPUT');
          assert.deepEqual(at(shorter, 'patch.userErrors.0.field'), ['target']);
          const scaled = await ask(server.url, PATCH, { input: { model: NAME, base: TEXT, features: [{ feature: `${NAME}/1-random/0`, operation: 'SCALE', value: 1 }] } });
          assert.equal(at(scaled, 'patch.patchRun.editMagnitude'), 0);
          assert.ok(Number(at(scaled, 'patch.patchRun.positions.0.klFromBase')) < 1e-7);
        });

        await t.test('texts beyond the context and unknown features are told, not crashes', async () => {
          const long = 'the cat sat on the mat '.repeat(800);
          const read = await send(server.url, `query ($text: String!) { activations(model: "${NAME}", text: $text) { tokens } }`, { text: long });
          assert.equal(read.errors[0]!.extensions['code'], 'TEXT_TOO_LONG');
          const data = await ask(server.url, PATCH, { input: { model: NAME, base: long, features: [{ feature: `${NAME}/1-random/0`, operation: 'ABLATE' }] } });
          assert.equal(at(data, 'patch.userErrors.0.code'), 'TEXT_TOO_LONG');
          assert.deepEqual(at(data, 'patch.userErrors.0.field'), ['base']);
        });

        await t.test('many at once share one opening and all answer', async () => {
          const answers = await Promise.all(
            Array.from({ length: 12 }, (_, i) => ask(server.url, `{ activations(model: "${NAME}", text: "There were ${i} dogs.", topK: 1) { dictionaries { activeFeatures } } }`)),
          );
          assert.equal(answers.length, 12);
        });
      } finally {
        await server.close();
        await model.close();
      }
    }),
  );
});
