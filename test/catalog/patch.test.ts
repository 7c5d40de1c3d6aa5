import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openSubjectModel } from '../../src/adapters/ort/openSubjectModel.ts';
import { createPatchService, type PatchService } from '../../src/catalog/patch.ts';
import { checkPatchSize } from '../../src/catalog/patchBounds.ts';
import { createPatchRequests, type PatchRequests } from '../../src/catalog/patchRequests.ts';
import type { DictionaryWeights } from '../../src/domain/dictionary.ts';
import { CallerError } from '../../src/domain/errors.ts';
import type { FeaturePatch, PatchInput, PatchRun } from '../../src/domain/patch.ts';
import type { DictionaryRow, FeatureRow } from '../../src/ports/CatalogReader.ts';
import type { LiveModels } from '../../src/ports/LiveModels.ts';
import type { SubjectModel } from '../../src/ports/SubjectModel.ts';
import { perfectDictionary, tiedDictionary } from '../helpers/tiedDictionary.ts';
import { wordTokenizer } from '../helpers/wordTokenizer.ts';
import { readFixture } from '../lm/fixture.ts';

const NAME = 'tiny';
let model: SubjectModel;
let dictionaries: DictionaryWeights[];
let forwards = 0;

before(async () => {
  const opened = await openSubjectModel(readFixture('neox-serial').folder!, { device: 'cpu', workers: 1, name: NAME });
  model = {
    info: opened.info,
    concurrency: 1,
    forward: (request) => (forwards++, opened.forward(request)),
    unembedding: () => opened.unembedding(),
    finalNorm: () => opened.finalNorm(),
    close: () => opened.close(),
  };
  const d = model.info.dModel;
  dictionaries = [
    tiedDictionary('0-test', 'resid_post.0', d, 300, { seed: 1, bias: -0.1 }),
    tiedDictionary('2-test', 'resid_post.2', d, 20, { seed: 1, bias: -0.1 }),
    perfectDictionary('1-perfect', 'resid_post.1', d, 3),
  ];
});
after(() => model.close());

function row({ config }: DictionaryWeights, id: number): DictionaryRow {
  return {
    id, model: NAME, name: config.name, hookPoint: config.hookPoint, outputHookPoint: config.outputHookPoint, layer: id, architecture: config.architecture, dIn: config.dIn,
    nFeatures: config.nFeatures, k: config.k, l1: null, weightsHash: config.weightsHash, location: '', quality: null, trainRun: '', analyseRun: null, tokensAnalysed: null, createdAt: '',
  };
}

/** Patches over the real model; only the database is a map. Features of `0-test` are analysed, but for the last hundred. */
function service(stored = new Map<string, PatchRun>()): PatchRequests {
  return createPatchRequests(patchService(stored), { run: (task) => task() });
}

function patchService(stored: Map<string, PatchRun>, live: Partial<LiveModels> = {}): PatchService {
  return createPatchService({
    reader: {
      models: () => Promise.resolve([{ ...model.info, source: '' }, { ...model.info, name: 'absent', weightsHash: 'ab', source: '' }]),
      dictionaries: () => Promise.resolve(dictionaries.map(row)),
      features: (keys) => Promise.resolve(keys.map(({ dictionaryId, index }) => (dictionaryId === 0 && index < 200 ? analysed(index) : null))),
      patchRun: (id) => Promise.resolve(stored.get(id) ?? null),
      savePatchRun: (run) => {
        const isFirst = !stored.has(run.id);
        if (isFirst) stored.set(run.id, structuredClone(run));
        return Promise.resolve(isFirst);
      },
    },
    live: {
      open: () => Promise.resolve({ model, tokenizer: wordTokenizer(model.info.vocabSize, 2) }),
      dictionary: (_, name) => Promise.resolve(dictionaries.find((weights) => weights.config.name === name)!),
      ...live,
    },
    codeVersion: 'test',
  });
}

function analysed(index: number): FeatureRow {
  const unused = { histogram: { edges: [], counts: [] }, topLogits: [], bottomLogits: [], neighbours: [], bestScore: null };
  return { dictionaryId: 0, index, density: 0.25, maxActivation: 4, meanActivation: index === 9 ? null : 1.5, ...unused };
}

function feature(dictionary: string, index: number, operation: FeaturePatch['operation'] = { kind: 'ablate' }, positions: FeaturePatch['positions'] = null): FeaturePatch {
  return { feature: { model: NAME, dictionary, index }, operation, positions };
}

const plain: PatchInput = { model: NAME, base: 'w5 w9 w11 w30', target: null, features: [feature('0-test', 5)], readPositions: null, topTokens: 5 };

test('a patch reports tokens from the document start, divergences, changes, activations before and after', async () => {
  const { features, ...rest } = plain;
  const input: PatchInput = { ...rest, target: 'w5 w9 w12 w30', features: [...features, feature('2-test', 7, { kind: 'set', value: 3 }, [-1, 1])], readPositions: [-1, 2] };
  const { result, weightsHash, codeVersion } = await service().patch(input);
  assert.deepEqual(result.tokens, ['w2', 'w5', 'w9', 'w11', 'w30']);
  assert.deepEqual(result.targetTokens, ['w2', 'w5', 'w9', 'w12', 'w30']);
  assert.deepEqual(result.positions.map((p) => [p.position, p.token]), [[2, 'w9'], [4, 'w30']]);
  const [early, last] = result.positions;
  assert.ok(last.klFromBase > 1e-4 && last.klBaseFromTarget! > 1e-6 && last.klFromTarget! > 1e-6);
  assert.equal(last.changes.length, 5);
  assert.ok(early.klBaseFromTarget! < 1e-9, 'base and target are the same up to position 2');
  for (const c of last.changes) assert.ok(c.baseLogProb <= 0 && c.patchedLogProb <= 0 && c.token === `w${c.id}`);
  assert.deepEqual(result.features[0].after, [0, 0, 0, 0, 0]);
  assert.ok(result.features[0].before.some((c) => c > 0));
  assert.deepEqual([1, 4].map((t) => result.features[1].after[t]), [3, 3]);
  assert.equal(result.features[1].after[2], result.features[1].before[2]);
  assert.equal(result.features[1].hookPoint, 'resid_post.2');
  assert.ok(result.editMagnitude > 0);
  assert.deepEqual([weightsHash, codeVersion], [model.info.weightsHash, 'test']);
});

test('a perfect dictionary carries the target over', async () => {
  const all = Array.from({ length: dictionaries[2].config.nFeatures }, (_, index) => feature('1-perfect', index, { kind: 'replace_from_target' }));
  const { result } = await service().patch({ ...plain, target: 'w5 w40 w12 w31', features: all });
  const [position] = result.positions;
  assert.ok(position.klFromTarget! < 1e-8);
  assert.ok(position.klBaseFromTarget! > 1e-4);
});

test('the same patch has the same id, is stored, and is not run again, alone or at the same time', async () => {
  const stored = new Map<string, PatchRun>();
  const patches = service(stored);
  forwards = 0;
  const runs = await Promise.all(Array.from({ length: 20 }, () => patches.patch(plain)));
  const used = forwards;
  assert.ok(used <= 2, `${used} forward runs for one patch`);
  assert.equal(stored.size, 1);
  for (const run of runs) assert.deepEqual(run, runs[0]);
  assert.deepEqual(await patches.patch(plain), runs[0]);
  assert.equal(forwards, used);
  const changed: PatchInput[] = [
    { ...plain, base: 'w5 w9 w11 w31' },
    { ...plain, topTokens: 6 },
    { ...plain, readPositions: [-2] },
    { ...plain, features: [feature('0-test', 4)] },
    { ...plain, features: [feature('0-test', 3, { kind: 'scale', factor: 0 })] },
    { ...plain, features: [feature('0-test', 3, { kind: 'scale', factor: 1 })] },
    { ...plain, features: [feature('0-test', 3, { kind: 'ablate' }, [0])] },
  ];
  for (const input of changed) await patches.patch(input);
  assert.equal(stored.size, 1 + changed.length);
  const again = await service().patch(plain);
  assert.deepEqual({ ...again, createdAt: '', milliseconds: 0 }, { ...runs[0], createdAt: '', milliseconds: 0 });
});

test('scaling by 1 and patching silent features change nothing', async () => {
  const { result } = await service().patch({ ...plain, features: [feature('0-test', 5, { kind: 'scale', factor: 1 }), feature('0-test', 4, { kind: 'scale', factor: 1 })] });
  assert.ok(result.positions[0].klFromBase < 1e-9);
  assert.equal(result.editMagnitude, 0);
});

test('bad input is a named error that says where', async () => {
  const many = Array.from({ length: 257 }, (_, index) => feature('0-test', index));
  const cases: [string, Partial<PatchInput>, string, RegExp, string][] = [
    ['unknown model', { model: 'other' }, 'NOT_FOUND', /no model "other"; it has tiny, absent/, 'model'],
    ['another model in the address', { features: [{ ...feature('0-test', 1), feature: { model: 'x', dictionary: '0-test', index: 1 } }] }, 'BAD_INPUT', /belongs to model x/, 'features.0.feature'],
    ['unknown dictionary', { features: [feature('0-test', 1), feature('7-none', 1)] }, 'NOT_FOUND', /has 0-test, 2-test, 1-perfect/, 'features.1.feature'],
    ['index too large', { features: [feature('2-test', 20)] }, 'NOT_FOUND', /0 to 19/, 'features.0.feature'],
    ['negative index', { features: [feature('2-test', -1)] }, 'NOT_FOUND', /0 to 19/, 'features.0.feature'],
    ['NaN index', { features: [feature('2-test', NaN)] }, 'NOT_FOUND', /0 to 19/, 'features.0.feature'],
    ['no features', { features: [] }, 'BAD_INPUT', /at least one/, 'features'],
    ['too many features', { features: many }, 'LIMIT_EXCEEDED', /257/, 'features'],
    ['empty base', { base: '' }, 'BAD_INPUT', /base is empty/, 'base'],
    ['base without tokens', { base: '   ' }, 'BAD_INPUT', /base has no tokens/, 'base'],
    ['empty target', { target: '' }, 'BAD_INPUT', /target is empty/, 'target'],
    ['10,000 tokens', { base: 'w '.repeat(10_000) }, 'TEXT_TOO_LONG', /10000 tokens and one that starts the document.*at most 48/, 'base'],
    ['one token too long with the document start', { base: 'w5 '.repeat(48) }, 'TEXT_TOO_LONG', /48 tokens and one/, 'base'],
    ['target of another length', { target: 'w5 w9 w12' }, 'BAD_INPUT', /base has 5 tokens and target 4.*differ at position 3: "w11" in base, "w12" in target/, 'target'],
    ['target that ends early', { target: 'w5 w9 w11' }, 'BAD_INPUT', /position 4: "w30" in base, nothing in target/, 'target'],
    ['replace without target', { features: [feature('0-test', 1, { kind: 'replace_from_target' })] }, 'BAD_INPUT', /there is no target/, 'target'],
    ['NaN value', { features: [feature('0-test', 1, { kind: 'set', value: NaN })] }, 'BAD_INPUT', /value is NaN/, 'features.0.operation.value'],
    ['infinite factor', { features: [feature('0-test', 1, { kind: 'scale', factor: Infinity })] }, 'BAD_INPUT', /factor is Infinity/, 'features.0.operation.factor'],
    ['huge value', { features: [feature('0-test', 1, { kind: 'set', value: 1e30 })] }, 'BAD_INPUT', /at most 1000000/, 'features.0.operation.value'],
    ['unknown operation', { features: [feature('0-test', 1, JSON.parse('{"kind":"explode"}') as FeaturePatch['operation'])] }, 'BAD_INPUT', /unknown operation explode/, 'features.0.operation'],
    ['position after the end', { features: [feature('0-test', 1, { kind: 'ablate' }, [0, 5])] }, 'BAD_INPUT', /position 5 .*0 to 4/, 'features.0.positions.1'],
    ['position before the start', { features: [feature('0-test', 1, { kind: 'ablate' }, [-6])] }, 'BAD_INPUT', /position -6/, 'features.0.positions.0'],
    ['half a position', { features: [feature('0-test', 1, { kind: 'ablate' }, [0.5])] }, 'BAD_INPUT', /position 0.5/, 'features.0.positions.0'],
    ['no positions', { features: [feature('0-test', 1, { kind: 'ablate' }, [])] }, 'BAD_INPUT', /positions is empty/, 'features.0.positions'],
    ['twice at one position', { features: [feature('0-test', 1, { kind: 'ablate' }, [4]), feature('0-test', 1, { kind: 'ablate' }, [-1])] }, 'BAD_INPUT', /twice at position 4/, 'features.1'],
    ['read position outside', { readPositions: [9] }, 'BAD_INPUT', /position 9/, 'readPositions.0'],
    ['no read positions', { readPositions: [] }, 'BAD_INPUT', /readPositions is empty/, 'readPositions'],
    ['too many read positions', { readPositions: Array.from({ length: 65 }, () => 0) }, 'LIMIT_EXCEEDED', /65/, 'readPositions'],
    ['no top tokens', { topTokens: 0 }, 'LIMIT_EXCEEDED', /topTokens is 0/, 'topTokens'],
    ['too many top tokens', { topTokens: 51 }, 'LIMIT_EXCEEDED', /51/, 'topTokens'],
    ['half a top token', { topTokens: 1.5 }, 'LIMIT_EXCEEDED', /1.5/, 'topTokens'],
  ];
  for (const [what, change, code, message, field] of cases) {
    await assert.rejects(service().patch({ ...plain, ...change }), (error: unknown) => {
      assert.ok(error instanceof CallerError, `${what}: ${String(error)}`);
      assert.deepEqual([error.code, error.field?.join('.')], [code, field], what);
      assert.match(error.message, message, what);
      return true;
    });
  }
});

test('the longest prompt that fits runs', async () => {
  const { result } = await service().patch({ ...plain, base: 'w5 '.repeat(47), readPositions: Array.from({ length: 48 }, (_, t) => t) });
  assert.equal(result.tokens.length, 48);
  assert.equal(result.positions.length, 48);
});

test('ablation to the mean takes density times mean of the catalog, and records it', async () => {
  const asked = (index: number) => ({ ...plain, features: [{ ...feature('0-test', index), operation: { kind: 'ablate_to_mean' } as const }] });
  const { input, result } = await service().patch(asked(5));
  assert.deepEqual(input.features[0].operation, { kind: 'ablate_to_mean', mean: 0.375 });
  assert.deepEqual(result.features[0].after, [0.375, 0.375, 0.375, 0.375, 0.375]);
  // Never active where it was analysed: its mean is 0.
  assert.deepEqual((await service().patch(asked(9))).input.features[0].operation, { kind: 'ablate_to_mean', mean: 0 });
  await assert.rejects(service().patch(asked(250)), { code: 'UNSUPPORTED', field: ['features', '0', 'operation'], message: /was not analysed/ });
});

test('in a batch of other lengths the numbers of a patch differ by rounding at most', async () => {
  const inputs = Array.from({ length: 40 }, (_, i): PatchInput => ({ ...plain, base: `w5 w9 w11 w30${' w7'.repeat(i % 5)}`, features: [feature(i % 2 === 0 ? '0-test' : '2-test', i % 20)], topTokens: 3, loss: i % 3 === 0 }));
  const batched = await service().patches(inputs);
  let worst = 0;
  for (const [i, outcome] of batched.entries()) {
    assert.ok('run' in outcome);
    const alone = await service().patch(inputs[i]);
    assert.equal(outcome.run.id, alone.id);
    const [a, b] = [outcome.run.result, alone.result];
    const pairs: [number, number][] = [[a.editMagnitude, b.editMagnitude], ...a.positions.flatMap((p, j): [number, number][] => [[p.klFromBase, b.positions[j].klFromBase], ...p.changes.map((c, n): [number, number] => [c.patchedLogProb, b.positions[j].changes[n].patchedLogProb])])];
    for (const [one, other] of pairs) worst = Math.max(worst, Math.abs(one - other) / Math.max(1, Math.abs(other)));
  }
  assert.ok(worst < 1e-5, `they differ by ${worst}`);
});

test('a deadline ends the waiting, not the run: asking again finds it', async () => {
  const stored = new Map<string, PatchRun>();
  const { promise, resolve } = Promise.withResolvers<void>();
  const held = { run: async <T>(task: () => Promise<T>): Promise<T> => (await promise, task()) };
  const patches = createPatchRequests(patchService(stored), held, { patchSeconds: 0.05, streamSeconds: 0.05 });
  await assert.rejects(patches.patch(plain), { code: 'TIMED_OUT', message: /0 of 1 patches were done after 0.05 s/ });
  resolve();
  while (stored.size === 0) await new Promise((go) => setImmediate(go));
  assert.deepEqual(await service(stored).patch(plain), [...stored.values()][0]);
});

test('a patch is bounded in work and in what it answers', async () => {
  const most = Array.from({ length: 256 }, (_, i) => feature('0-test', i));
  const size = { tokens: 2048, read: 2048 };
  assert.throws(() => checkPatchSize({ ...plain, loss: true }, size), { code: 'LIMIT_EXCEEDED', message: /units of work \(2048 tokens, 1 edited/ });
  const watch = most.slice(0, 64).map((one) => one.feature);
  assert.throws(() => checkPatchSize({ ...plain, features: most, watch }, { tokens: 2048, read: 1 }), { code: 'LIMIT_EXCEEDED', message: /would answer \d+ numbers/ });
  // All that was allowed before these bounds still is, up to 2,048 tokens.
  checkPatchSize({ ...plain, target: 'w1', features: most, topTokens: 50 }, { tokens: 2048, read: 64 });
});

test('in a batch, a model that cannot run here leaves the others alone', async () => {
  const live: Partial<LiveModels> = {
    open: (name) => (name === NAME ? Promise.resolve({ model, tokenizer: wordTokenizer(model.info.vocabSize, 2) }) : Promise.reject(new CallerError('MODEL_UNAVAILABLE', 'its folder is gone'))),
  };
  const elsewhere: PatchInput = { ...plain, model: 'absent', features: [{ ...feature('0-test', 5), feature: { model: 'absent', dictionary: '0-test', index: 5 } }] };
  const patches = createPatchRequests(patchService(new Map(), live), { run: (task) => task() });
  const found = await patches.patches([elsewhere, plain, { ...elsewhere, base: 'w1' }]);
  assert.deepEqual(found.map((one) => ('run' in one ? one.run.input.model : one.error.code)), ['MODEL_UNAVAILABLE', NAME, 'MODEL_UNAVAILABLE']);
});

test('who waits for a patch that another request had no room for, asks for room itself', async () => {
  const patches = patchService(new Map());
  const refused = Promise.withResolvers<void>();
  const first = patches.patchEach([plain], { turns: { run: () => refused.promise.then(() => Promise.reject(new CallerError('BUSY', 'no room'))) }, group: 1 }).next();
  const second = patches.patchEach([plain], { turns: { run: (task) => task() }, group: 1 }).next();
  for (let i = 0; i < 20; i++) await new Promise((go) => setImmediate(go));
  refused.resolve();
  const [one, other] = [(await first).value, (await second).value];
  assert.ok(one && 'error' in one && one.error.code === 'BUSY');
  assert.ok(other && 'run' in other);
});
