import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OutsideError } from '../../src/domain/errors.ts';
import type { CatalogReader } from '../../src/ports/CatalogReader.ts';
import { at } from '../helpers/graphqlClient.ts';
import { withServer } from './withServer.ts';

test('bad requests say what is wrong, with a code; failures are masked and logged', async (t) => {
  const reader = (real: CatalogReader) =>
    new Proxy(real, {
      get(target, name) {
        if (name === 'exemplars') return async () => Promise.reject(new TypeError('secret: cannot read x of undefined'));
        if (name === 'edges') return async () => Promise.reject(new OutsideError('postgres', 'secret: host db-7 refused'));
        const value = Reflect.get(target, name, target) as unknown;
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
  await withServer({ seed: { features: 20 }, reader }, async ({ send, log, catalog }) => {
    const code = async (query: string, variables?: Parameters<typeof send>[1]) => {
      const { errors } = await send(query, variables);
      return errors.map((error) => `${String(error.extensions['code'])}: ${error.message}`).join('; ');
    };

    await t.test('bad input', async () => {
      assert.match(await code('{ feature(address: "nonsense") { id } }'), /^BAD_INPUT: "nonsense" is no feature address: expected \{model\}/);
      assert.match(await code('{ feature(address: 5) { id } }'), /FeatureAddress expects a string/);
      assert.match(await code('{ features(first: 101) { nodes { id } } }'), /^LIMIT_EXCEEDED: first is 101: expected 1 to 100/);
      assert.match(await code('{ features(first: 0) { nodes { id } } }'), /^LIMIT_EXCEEDED/);
      assert.match(await code(`{ searchFeatures(query: "${'x'.repeat(201)}") { matched } }`), /^TEXT_TOO_LONG: query has 201 characters/);
      assert.match(await code('{ searchFeatures(query: "  ") { matched } }'), /^BAD_INPUT: query is empty/);
      assert.match(await code('{ searchFeatures(query: "a\\u0000b") { matched } }'), /^BAD_INPUT: query holds a NUL/);
      assert.match(await code('{ activations(model: "nope", text: "x") { tokens } }'), /^NOT_FOUND: the catalog has no dictionaries of a model "nope"/);
      assert.match(await code('{ activations(model: "toy", text: "x", dictionaries: ["nope"]) { tokens } }'), /^NOT_FOUND: the catalog has no dictionary "toy\/nope"/);
      assert.match(await code('{ activations(model: "toy", text: "x", topK: 51) { tokens } }'), /^LIMIT_EXCEEDED: topK is 51/);
      assert.match(await code('{ activations(model: "toy", text: "x") { tokens } }'), /^MODEL_UNAVAILABLE/);
      assert.match(JSON.stringify(await send('mutation { explainFeature(input: { feature: "toy/0-tied-r2/1" }) { userErrors { code message } } }')), /UNSUPPORTED.*explains nothing on demand/);
      assert.match(await code(`{ activations(model: "toy", text: "${'x'.repeat(20_001)}") { tokens } }`), /^TEXT_TOO_LONG/);
      assert.match(await code('{ features(filter: { density: { min: 0.5, max: 0.1 } }) { nodes { id } } }'), /^BAD_INPUT: density.min is 0.5, above/);
      assert.match(await code('query ($l: [Int!]) { features(filter: { layers: $l }) { nodes { id } } }', { l: Array.from({ length: 101 }, (_, i) => i) }), /^LIMIT_EXCEEDED: layers lists 101/);
      assert.match(await code(`{ patchRun(id: "${Buffer.from('Model:toy').toString('base64url')}") { id } }`), /^BAD_INPUT: id is no id of a PatchRun/);
    });

    await t.test('bad cursors', async () => {
      const { data } = await send('{ features(first: 1, orderBy: DENSITY_ASC) { pageInfo { endCursor } } searchFeatures(query: "river", first: 1) { pageInfo { endCursor } } models { pageInfo { endCursor } } }');
      const features = String(at(data, 'features.pageInfo.endCursor'));
      const search = String(at(data, 'searchFeatures.pageInfo.endCursor'));
      const models = String(at(data, 'models.pageInfo.endCursor'));
      for (const query of [
        `{ features(after: "garbage") { nodes { id } } }`,
        `{ features(after: "") { nodes { id } } }`,
        `{ features(after: "${features}", orderBy: INDEX) { nodes { id } } }`,
        `{ features(after: "${search}") { nodes { id } } }`,
        `{ searchFeatures(query: "comma", after: "${search}") { matched } }`,
        `{ searchFeatures(query: "river", filter: { minScore: 0.1 }, after: "${search}") { matched } }`,
        `{ dictionaries(after: "${models}") { nodes { id } } }`,
        `{ models(after: "${features.slice(0, -3)}") { nodes { id } } }`,
      ]) {
        assert.match(await code(query), /^BAD_CURSOR: after is /, query);
      }
      assert.equal(await code(`{ features(after: "${features}", orderBy: DENSITY_ASC) { nodes { id } } }`), '');
    });

    await t.test('patch inputs: user errors with their place, nothing stored', async () => {
      const patch = async (features: string, rest = '') => {
        const { data } = await send(`mutation { patch(input: { model: "toy", base: "b", ${rest} features: [${features}] }) { patchRun { id } userErrors { code field message } } }`);
        return JSON.stringify(at(data, 'patch.userErrors'));
      };
      const feature = 'feature: "toy/0-tied-r2/1"';
      assert.match(await patch('{ feature: "bad", operation: ABLATE }'), /"code":"BAD_INPUT","field":\["features","0","feature"\]/);
      assert.match(await patch(`{ ${feature}, operation: ABLATE }, { ${feature}, operation: SCALE }`), /"field":\["features","1","value"\],"message":"SCALE needs a value"/);
      assert.match(await patch(`{ ${feature}, operation: ABLATE, value: 3 }`), /ABLATE takes no value, found 3/);
      assert.match(await patch(`{ ${feature}, operation: REPLACE_FROM_TARGET }`), /"field":\["target"\]/);
      assert.match(await patch('{ feature: "toy/0-tied-r2/999", operation: ABLATE }'), /"code":"NOT_FOUND"/);
      assert.match(await patch(''), /features is empty/);
      assert.match(await patch(`{ ${feature}, operation: ABLATE }`, 'topTokens: 99,'), /"code":"LIMIT_EXCEEDED"/);
      const [{ count }] = (await catalog.sql<{ count: string }>('SELECT count(*) FROM patch_run')) as [{ count: string }];
      assert.equal(count, '0');
    });

    await t.test('our bugs and outside failures are masked, and the log has the whole under the id shown', async () => {
      const { status, errors, data } = await send('{ feature(address: "toy/0-tied-r2/1") { exemplars { text } } server { version } }');
      assert.equal(status, 200);
      assert.equal(at(data, 'server.version'), '0.0.0-test');
      assert.equal(errors[0]!.extensions['code'], 'INTERNAL_SERVER_ERROR');
      const outside = await send('{ feature(address: "toy/0-tied-r2/1") { incomingEdges { nodes { id } } } }');
      assert.equal(outside.errors[0]!.extensions['code'], 'SERVICE_UNAVAILABLE');
      for (const error of [...errors, ...outside.errors]) {
        assert.doesNotMatch(JSON.stringify(error), /secret|stack|TypeError/);
        const logged = log.find((line) => line['id'] === error.extensions['id']);
        assert.match(JSON.stringify(logged), /secret/);
      }
    });

    await t.test('one log line per operation, without variables or answers', async () => {
      log.length = 0;
      await send('query Named($a: FeatureAddress!) { feature(address: $a) { address } }', { a: 'toy/0-tied-r2/11' });
      const [line] = log.filter(({ msg }) => msg === 'operation');
      assert.equal(line!['operation'], 'Named');
      assert.equal(line!['cost'], 1);
      assert.deepEqual(line!['errors'], []);
      assert.doesNotMatch(JSON.stringify(log), /toy\/0-tied/);
    });
  });
});
