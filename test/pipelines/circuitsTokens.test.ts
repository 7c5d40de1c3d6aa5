import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileArtefacts } from '../../src/adapters/files/artefacts.ts';
import { openSubjectModel } from '../../src/adapters/ort/openSubjectModel.ts';
import { logSoftmax } from '../../src/causal/divergence.ts';
import { tQuantile } from '../../src/causal/interval.ts';
import { encode } from '../../src/dictionary/encode.ts';
import { CallerError } from '../../src/domain/errors.ts';
import { Rng } from '../../src/math/rng.ts';
import { analyse } from '../../src/pipelines/analyse.ts';
import { gradientAttribution } from '../../src/pipelines/circuitAttribution.ts';
import { circuits, CIRCUIT_DEFAULTS, type CircuitsInput } from '../../src/pipelines/circuits.ts';
import { tokenContexts } from '../../src/pipelines/circuitTokenContexts.ts';
import type { GradientModel } from '../../src/ports/GradientModel.ts';
import { memoryTokens } from '../helpers/memoryTokens.ts';
import { quietProgress } from '../helpers/quietProgress.ts';
import { tiedDictionary } from '../helpers/tiedDictionary.ts';
import { withFolder } from '../helpers/withFolder.ts';
import { readFixture } from '../lm/fixture.ts';

let model: GradientModel;
before(async () => {
  model = await openSubjectModel(readFixture('neox-serial').folder!, { device: 'cpu', workers: 2 });
});
after(() => model.close());

const TOKEN = { id: 7, token: 'seven' };
const OPTIONS = { contexts: 5, threshold: 0, keep: 1000, follow: [2, 1], candidates: null };

async function setUp(folder: string): Promise<Omit<CircuitsInput, 'dir' | 'targets'>> {
  const d = model.info.dModel;
  // Ids below 40 only, so that others never occur.
  const tokens = { ...memoryTokens(30, 20, 40, 3), tokenizerHash: model.info.tokenizerHash };
  const dictionaries = [
    tiedDictionary('0-a', 'resid_post.0', d, 24, { seed: 1, bias: -1.2, inputScale: 0.1 }),
    tiedDictionary('1-m', 'mlp_out.1', d, 16, { seed: 2, bias: -0.6, inputScale: 0.02 }),
    tiedDictionary('2-a', 'resid_post.2', d, 20, { seed: 3, bias: -1, inputScale: 0.1 }),
  ];
  const dir = await fresh(folder, 'analysed');
  const artefacts = fileArtefacts();
  const outputs = await analyse({ model, dictionaries, tokens, rows: { from: 0, to: 30 }, artefacts, progress: quietProgress(), dir, seed: 1 });
  return { model, dictionaries, features: new Map(outputs.map((o) => [o.dictionary, join(dir, o.file)])), tokens, artefacts, progress: quietProgress(), attribute: gradientAttribution(model, 4096) };
}

async function fresh(folder: string, name: string): Promise<string> {
  await mkdir(join(folder, name));
  return join(folder, name);
}

const bytesOf = (dir: string): Promise<string[]> => Promise.all(['edges.ndjson', 'output-edges.ndjson'].map((file) => readFile(join(dir, file), 'utf8')));

test('every effect on a token equals the ablation done from the tokens on, for every dictionary', () =>
  withFolder(async (folder) => {
    const input = await setUp(folder);
    const { outputEdges, tokens: [node] } = await circuits({ ...input, dir: await fresh(folder, 'run'), targets: [], outputs: [TOKEN], options: { ...OPTIONS, depth: 1 } });
    const contexts = await tokenContexts(input, TOKEN, { ...CIRCUIT_DEFAULTS, ...OPTIONS });
    assert.equal(node.contexts, OPTIONS.contexts);
    assert.equal(new Set(outputEdges.map(({ sourceDictionary }) => sourceDictionary)).size, 3);
    const d = model.info.dModel;
    const logProb = (logits: Float32Array): number => logSoftmax(logits, 0, model.info.vocabSize)[TOKEN.id];
    let strong = 0;
    for (const source of input.dictionaries) {
      const { hookPoint, nFeatures, outputScale, name } = source.config;
      const sums = new Float64Array(nFeatures);
      for (const { ids } of contexts) {
        const batch = { rows: 1, cols: ids.length, ids, lengths: Int32Array.of(ids.length) };
        const clean = await model.forward({ batch, taps: [hookPoint], logits: 'last' });
        const codes = encode(source, clean.taps.get(hookPoint)!);
        for (let j = 0; j < nFeatures; j++) {
          const delta = Float32Array.from({ length: ids.length * d }, (_, i) => -codes[Math.floor(i / d) * nFeatures + j] * outputScale * source.decoder[j * d + (i % d)]);
          if (delta.every((v) => v === 0)) continue;
          const { logits } = await model.forward({ batch, edits: [{ at: hookPoint, delta }], taps: [], logits: 'last' });
          sums[j] += logProb(clean.logits!) - logProb(logits!);
        }
      }
      const found = new Map(outputEdges.filter((e) => e.sourceDictionary === name).map((e) => [e.sourceIndex, e]));
      sums.forEach((sum, j) => {
        const edge = found.get(j);
        assert.ok(Math.abs((edge?.effect ?? 0) - sum / contexts.length) < 1e-4, `${name}/${j}: ${edge?.effect} for ${sum / contexts.length}`);
        if (edge !== undefined) assert.deepEqual([edge.tokenId, edge.token, edge.n], [7, 'seven', OPTIONS.contexts]);
        if (Math.abs(sum / contexts.length) > 1e-3) strong++;
      });
    }
    assert.ok(strong > 10, 'the test must have something to find');
  }));

test("a token's contexts end where it comes next and the model expects it; the seed chooses", () =>
  withFolder(async (folder) => {
    const input = await setUp(folder);
    const { tokens } = input;
    const all = await tokens.read(Array.from({ length: tokens.rows }, (_, r) => r));
    const before = new Map<string, number>();
    for (let i = 0; i + 1 < all.length; i++) if ((i + 1) % tokens.cols !== 0 && all[i + 1] === TOKEN.id) before.set(all.slice(Math.floor(i / tokens.cols) * tokens.cols, i + 1).join(), 0);
    const probability = async (ids: Int32Array): Promise<number> => {
      const { logits } = await model.forward({ batch: { rows: 1, cols: ids.length, ids, lengths: Int32Array.of(ids.length) }, taps: [], logits: 'last' });
      return Math.exp(logSoftmax(logits!, 0, model.info.vocabSize)[TOKEN.id]);
    };
    for (const key of before.keys()) before.set(key, await probability(Int32Array.from(key.split(','), Number)));
    // The pool holds every place: 4 contexts to one wanted.
    const contexts = Math.ceil(before.size / 4);
    const options = { ...CIRCUIT_DEFAULTS, contexts };
    const median = [...before.values()].sort((a, b) => a - b)[Math.floor(before.size / 2)];
    const chosen = (await tokenContexts(input, TOKEN, options)).map(({ ids }) => ids.join());
    assert.equal(new Set(chosen).size, contexts);
    for (const key of chosen) assert.ok(before.get(key)! >= median * (1 - 1e-5), 'the model expects the token there');
    assert.deepEqual((await tokenContexts(input, TOKEN, options)).map(({ ids }) => ids.join()), chosen);
    assert.notDeepEqual((await tokenContexts(input, TOKEN, { ...options, seed: 1 })).map(({ ids }) => ids.join()), chosen);
  }));

test('broken off at random places and run again, tokens and features give the same bytes', () =>
  withFolder(async (folder) => {
    const input = await setUp(folder);
    const given = { targets: [{ dictionary: '2-a', index: 4 }], outputs: [TOKEN], options: { ...OPTIONS, threshold: 0.001, propose: 'gradient' as const, candidates: 6, sources: 'all' as const, contextsFrom: 'sampled' as const } };
    const whole = await fresh(folder, 'whole');
    let runs = 0;
    const counting: GradientModel = { ...input.model, info: model.info, concurrency: 1, unembedding: () => model.unembedding(), finalNorm: () => model.finalNorm(), close: () => model.close(), gradient: (r) => model.gradient(r), forward: (r) => (runs++, model.forward(r)) };
    await circuits({ ...input, ...given, model: counting, dir: whole });
    const rng = new Rng(17);
    for (let attempt = 0; attempt < 3; attempt++) {
      const dir = await fresh(folder, `broken-${attempt}`);
      for (let kill = 0; kill < 2; kill++) {
        let left = 1 + rng.int(Math.floor(runs * 0.6));
        const dying: GradientModel = { ...counting, forward: (r) => (left-- > 0 ? model.forward(r) : Promise.reject(new Error('pulled the plug'))) };
        // The second time less is left to do: it may come to its end.
        await circuits({ ...input, ...given, model: dying, dir }).catch((error: unknown) => assert.match(String(error), /pulled the plug/));
      }
      await circuits({ ...input, ...given, dir });
      assert.deepEqual(await bytesOf(dir), await bytesOf(whole));
    }
  }));

test('tokens that never occur, ids beyond the vocabulary and targets that nothing can feed are named errors', () =>
  withFolder(async (folder) => {
    const input = await setUp(folder);
    const dir = await fresh(folder, 'run');
    const fails = (given: Partial<CircuitsInput>, code: string, message: RegExp): Promise<void> =>
      assert.rejects(circuits({ ...input, dir, targets: [], options: OPTIONS, ...given }), (error) => error instanceof CallerError && error.code === code && message.test(error.message));
    await fails({ outputs: [{ id: 45, token: 'never' }] }, 'NOT_FOUND', /"never" never follows/);
    await fails({ outputs: [{ id: 50, token: 'beyond' }] }, 'BAD_INPUT', /0 to 49/);
    await fails({ targets: [{ dictionary: '0-a', index: 0 }] }, 'BAD_INPUT', /nothing can feed it/);
    const { attribute: _, ...without } = input;
    await assert.rejects(circuits({ ...without, dir, targets: [{ dictionary: '2-a', index: 4 }], options: { propose: 'gradient' } }), /run backward/);
  }));

test("Student's t: known 97.5 % quantiles", () => {
  for (const [degrees, expected] of [[1, 12.7062], [2, 4.30265], [5, 2.57058], [19, 2.09302], [30, 2.04227], [1000, 1.96234]]) assert.ok(Math.abs(tQuantile(degrees) - expected) < 1e-4, `${degrees}: ${tQuantile(degrees)}`);
});
