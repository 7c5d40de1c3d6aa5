import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileArtefacts } from '../../src/adapters/files/artefacts.ts';
import { openTokenRows, writeTokenRows } from '../../src/adapters/files/tokenRows.ts';
import { openSubjectModel } from '../../src/adapters/ort/openSubjectModel.ts';
import { encode } from '../../src/dictionary/encode.ts';
import { outputHookPointOf, type DictionaryWeights } from '../../src/domain/dictionary.ts';
import { CallerError } from '../../src/domain/errors.ts';
import type { CircuitEdge, FeatureAnalysis } from '../../src/domain/feature.ts';
import type { HookPoint } from '../../src/domain/hookPoint.ts';
import type { TokenBatch } from '../../src/domain/model.ts';
import { Rng } from '../../src/math/rng.ts';
import { analyse } from '../../src/pipelines/analyse.ts';
import { gradientAttribution } from '../../src/pipelines/circuitAttribution.ts';
import { circuits, type CircuitNode, type CircuitsInput } from '../../src/pipelines/circuits.ts';
import type { GradientModel } from '../../src/ports/GradientModel.ts';
import type { SubjectModel } from '../../src/ports/SubjectModel.ts';
import { quietProgress } from '../helpers/quietProgress.ts';
import { randomDictionary } from '../helpers/randomDictionary.ts';
import { tiedDictionary } from '../helpers/tiedDictionary.ts';
import { withFolder } from '../helpers/withFolder.ts';
import { readFixture } from '../lm/fixture.ts';

const ROWS = 40;
const COLS = 30;
const CONTEXTS = 6;

let model: GradientModel;
before(async () => {
  model = await openSubjectModel(readFixture('neox-serial').folder!, { device: 'cpu', workers: 2 });
});
after(() => model.close());

function tiedDictionaries(dModel: number): DictionaryWeights[] {
  return [
    tiedDictionary('0-a', 'resid_post.0', dModel, 40, { seed: 1, bias: -1.2, inputScale: 0.1 }),
    tiedDictionary('1-m', 'mlp_out.1', dModel, 20, { seed: 2, bias: -0.6, inputScale: 0.02 }),
    tiedDictionary('2-a', 'resid_post.2', dModel, 30, { seed: 3, bias: -1, inputScale: 0.1 }),
  ];
}

/** The same three places: the k largest of a stream, a transcoder with thresholds, and both at the end. */
function otherDictionaries(dModel: number): DictionaryWeights[] {
  return [
    randomDictionary('0-k', 'resid_post.0', dModel, 40, { seed: 1, architecture: 'topk', k: 6, inputScale: 0.1 }),
    randomDictionary('1-t', 'mlp_in.1', dModel, 20, { seed: 2, architecture: 'jumprelu', threshold: 0.6, outputHookPoint: 'mlp_out.1', outputScale: 0.05, skip: true }),
    randomDictionary('1-m', 'mlp_out.1', dModel, 20, { seed: 4, architecture: 'topk', k: 5, inputScale: 0.02 }),
    randomDictionary('2-k', 'resid_post.2', dModel, 30, { seed: 3, architecture: 'batchtopk', threshold: 0.3, k: 12, inputScale: 0.1 }),
  ];
}

async function setUp(folder: string, make = tiedDictionaries): Promise<Omit<CircuitsInput, 'dir' | 'targets'>> {
  const rng = new Rng(21);
  const ids = Int32Array.from({ length: ROWS * COLS }, () => rng.int(model.info.vocabSize));
  const path = join(folder, 'tokens');
  await writeTokenRows(path, { cols: COLS, tokenizerHash: model.info.tokenizerHash, vocabSize: model.info.vocabSize }, [ids]);
  const dictionaries = make(model.info.dModel);
  const dir = join(folder, 'analyse');
  await mkdir(dir);
  const tokens = await openTokenRows(path);
  const artefacts = fileArtefacts();
  const outputs = await analyse({ model, dictionaries, tokens, rows: { from: 0, to: ROWS }, artefacts, progress: quietProgress(), dir, seed: 1 });
  return { model, dictionaries, features: new Map(outputs.map((o) => [o.dictionary, join(dir, o.file)])), tokens, artefacts, progress: quietProgress(), attribute: gradientAttribution(model, 4096) };
}

async function freshDir(folder: string, name: string): Promise<string> {
  await mkdir(join(folder, name));
  return join(folder, name);
}

/** Effects of every source feature on the target, each ablation one run from the tokens. */
async function naiveEffects(input: Omit<CircuitsInput, 'dir' | 'targets'>, source: DictionaryWeights, target: DictionaryWeights, index: number): Promise<number[]> {
  const d = model.info.dModel;
  const drops = Array.from({ length: source.config.nFeatures }, (): number[] => []);
  for await (const feature of input.artefacts.readRecords<FeatureAnalysis>(input.features.get(target.config.name)!)) {
    if (feature.index !== index) continue;
    for (const e of feature.exemplars.filter(({ kind, rank }) => kind === 'top' && rank < CONTEXTS)) {
      const length = e.start + e.activations.indexOf(e.maxActivation) + 1;
      const batch: TokenBatch = { rows: 1, cols: length, ids: (await input.tokens.read([e.row])).slice(0, length), lengths: Int32Array.of(length) };
      const [at, to] = [source.config.hookPoint, target.config.hookPoint];
      const clean = await model.forward({ batch, taps: [at, to], logits: 'none' });
      const codes = encode(source, clean.taps.get(at)!);
      const last = (taps: ReadonlyMap<HookPoint, Float32Array>): number => encode(target, taps.get(to)!.subarray((length - 1) * d), [index])[0];
      const a = last(clean.taps);
      assert.ok(Math.abs(a / e.maxActivation - 1) < 1e-3, 'the context must show the exemplar');
      for (let j = 0; j < source.config.nFeatures; j++) {
        const { nFeatures, outputScale } = source.config;
        const delta = Float32Array.from({ length: length * d }, (_, i) => -codes[Math.floor(i / d) * nFeatures + j] * outputScale * source.decoder[j * d + (i % d)]);
        const { taps } = await model.forward({ batch, edits: [{ at: outputHookPointOf(source.config), delta }], taps: [to], logits: 'none' });
        drops[j].push((a - last(taps)) / a);
      }
    }
  }
  return drops.map((list) => list.reduce((sum, v) => sum + v, 0) / list.length);
}

function targetsOf(edges: readonly CircuitEdge[]): CircuitNode[] {
  return [...new Map(edges.map((e) => [`${e.targetDictionary}/${e.targetIndex}`, { dictionary: e.targetDictionary, index: e.targetIndex }])).values()];
}

test('every edge equals the ablation done the slow way; nothing above the threshold is missing', () =>
  withFolder(async (folder) => {
    const input = await setUp(folder);
    const target = input.dictionaries[2];
    const options = { contexts: CONTEXTS, threshold: 0.02, keep: 1000, follow: [0], sources: 'all' as const, batchTokens: 200 };
    const result = await circuits({ ...input, dir: await freshDir(folder, 'run'), targets: [{ dictionary: '2-a', index: 4 }], options });
    assert.equal(result.nodes[0].contexts, CONTEXTS);
    assert.ok(result.nodes[0].ablations > 20);
    let strong = 0;
    for (const source of input.dictionaries.slice(0, 2)) {
      const expected = await naiveEffects(input, source, target, 4);
      const found = new Map(result.edges.filter((e) => e.sourceDictionary === source.config.name).map((e) => [e.sourceIndex, e]));
      expected.forEach((effect, j) => {
        const edge = found.get(j);
        if (Math.abs(effect) > 0.021) strong++;
        if (edge === undefined) assert.ok(Math.abs(effect) < 0.021, `${source.config.name}/${j} with effect ${effect} is missing`);
        else {
          assert.ok(Math.abs(edge.effect - effect) < 1e-3, `${j}: ${edge.effect} for ${effect}`);
          assert.equal(edge.n, CONTEXTS);
          assert.ok(edge.standardError >= 0 && Number.isFinite(edge.standardError));
        }
      });
    }
    assert.ok(strong > 5, 'the test must have something to find');
    await input.tokens.close();
  }));

test('the same for thresholds, the k largest, and a transcoder: it is read at one point and acts from another', () =>
  withFolder(async (folder) => {
    const input = await setUp(folder, otherDictionaries);
    const [topk, transcoder, mlp, end] = input.dictionaries;
    const options = { contexts: CONTEXTS, threshold: 0, keep: 1000, follow: [0], sources: 'all' as const, batchTokens: 200, candidates: null };
    for (const [target, index, sources] of [[end, 4, [topk, transcoder, mlp]], [mlp, 3, [topk, transcoder]], [transcoder, 2, [topk]]] as const) {
      const name = target.config.name;
      const result = await circuits({ ...input, dir: await freshDir(folder, `run-${name}`), targets: [{ dictionary: name, index }], options });
      assert.deepEqual([...new Set(result.edges.map((e) => e.sourceDictionary))].sort(), sources.map(({ config }) => config.name).sort());
      for (const source of sources) {
        const expected = await naiveEffects(input, source, target, index);
        const found = new Map(result.edges.filter((e) => e.sourceDictionary === source.config.name).map((e) => [e.sourceIndex, e]));
        assert.ok(expected.some((effect) => Math.abs(effect) > 0.01), `${source.config.name} has something to find in ${name}`);
        expected.forEach((effect, j) => assert.ok(Math.abs((found.get(j)?.effect ?? 0) - effect) < 1e-3, `${source.config.name}/${j} to ${name}: ${found.get(j)?.effect} for ${effect}`));
      }
    }
    const previous = await circuits({ ...input, dir: await freshDir(folder, 'previous'), targets: [{ dictionary: '2-k', index: 4 }], options: { ...options, sources: 'previous' } });
    assert.deepEqual([...new Set(previous.edges.map((e) => e.sourceDictionary))].sort(), ['1-m', '1-t'], 'both write at mlp_out.1');
    await input.tokens.close();
  }));

test('follows the strongest sources to the earliest dictionary, each feature once; targets give the same alone or together', () =>
  withFolder(async (folder) => {
    const input = await setUp(folder);
    const options = { contexts: CONTEXTS, threshold: 0.01, keep: 8, follow: [3, 1] };
    const targets = [{ dictionary: '2-a', index: 4 }, { dictionary: '2-a', index: 7 }];
    const both = await circuits({ ...input, dir: await freshDir(folder, 'both'), targets, options });
    const nodes = both.nodes.map((n) => `${n.dictionary}/${n.index}`);
    assert.equal(new Set(nodes).size, nodes.length);
    assert.ok(both.nodes.some((n) => n.dictionary === '1-m'));
    assert.ok(both.nodes.filter((n) => n.dictionary === '0-a').every((n) => n.edges.length === 0));
    for (const node of both.nodes) assert.ok(node.edges.length <= 8 && node.edges.every((e) => Math.abs(e.effect) >= 0.01));
    assert.deepEqual(both.edges, both.nodes.flatMap((n) => n.edges));
    const alone = await circuits({ ...input, dir: await freshDir(folder, 'alone'), targets: [targets[0]], options });
    for (const node of alone.nodes) assert.deepEqual(node, both.nodes.find((n) => n.dictionary === node.dictionary && n.index === node.index));
    assert.ok(targetsOf(both.edges).length > 2);
    await input.tokens.close();
  }));

test('fewer candidates give a part of the same edges; short contexts drop features that no longer fire', () =>
  withFolder(async (folder) => {
    const input = await setUp(folder);
    const targets = [{ dictionary: '2-a', index: 4 }];
    const options = { contexts: CONTEXTS, threshold: 0, keep: 1000, follow: [0], sources: 'all' as const };
    const all = await circuits({ ...input, dir: await freshDir(folder, 'all'), targets, options: { ...options, candidates: null } });
    const some = await circuits({ ...input, dir: await freshDir(folder, 'some'), targets, options: { ...options, candidates: 8 } });
    assert.equal(some.edges.length, 16);
    assert.equal(all.nodes[0].unmeasured, 0);
    assert.equal(some.nodes[0].unmeasured, all.edges.length - 16);
    assert.ok(some.ablations < all.ablations);
    for (const edge of some.edges) assert.ok(all.edges.some((other) => other.sourceIndex === edge.sourceIndex && other.sourceDictionary === edge.sourceDictionary && Math.abs(other.effect - edge.effect) < 1e-5));
    const short = await circuits({ ...input, dir: await freshDir(folder, 'short'), targets, options: { ...options, contextTokens: 2 } });
    assert.ok(short.nodes[0].contexts <= CONTEXTS && short.ablations < all.ablations);
    await input.tokens.close();
  }));

test('interrupted and run again, it measures only what is left and gives the same', () =>
  withFolder(async (folder) => {
    const input = await setUp(folder);
    const options = { contexts: CONTEXTS, keep: 8 };
    const targets = [{ dictionary: '2-a', index: 4 }, { dictionary: '2-a', index: 7 }];
    const whole = await circuits({ ...input, dir: await freshDir(folder, 'whole'), targets, options });
    const dir = await freshDir(folder, 'broken');
    let left = 3;
    const dying: SubjectModel = { ...input.model, info: model.info, concurrency: 1, forward: (request) => (left-- > 0 ? model.forward(request) : Promise.reject(new Error('pulled the plug'))) };
    for (const runs of [9, 4]) {
      left = runs;
      await assert.rejects(circuits({ ...input, model: dying, dir, targets, options }), /pulled the plug/);
    }
    const resumed = await circuits({ ...input, dir, targets, options });
    assert.equal(resumed.hash, whole.hash);
    assert.deepEqual(resumed.nodes, whole.nodes);
    assert.ok(resumed.ablations < whole.ablations);
    await input.tokens.close();
  }));

test('unknown targets are named errors', () =>
  withFolder(async (folder) => {
    const input = await setUp(folder);
    const dir = await freshDir(folder, 'run');
    for (const [target, message] of [[{ dictionary: '9-a', index: 0 }, /no such dictionary/], [{ dictionary: '2-a', index: 30 }, /0 to 29/], [{ dictionary: '2-a', index: 1.5 }, /0 to 29/]] as const) {
      await assert.rejects(circuits({ ...input, dir, targets: [target] }), (error) => error instanceof CallerError && error.code === 'NOT_FOUND' && message.test(error.message));
    }
    await input.tokens.close();
  }));
