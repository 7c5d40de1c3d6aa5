import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileArtefacts } from '../../src/adapters/files/artefacts.ts';
import { readTensorFile, type Tensor } from '../../src/adapters/files/tensorFile.ts';
import { openTokenRows, writeTokenRows } from '../../src/adapters/files/tokenRows.ts';
import { openDictionaryReader } from '../../src/adapters/ort/dictionaryReader.ts';
import { openSubjectModel } from '../../src/adapters/ort/openSubjectModel.ts';
import { openPredictionScorer } from '../../src/adapters/ort/predictionScorer.ts';
import { openRowProducts } from '../../src/adapters/ort/rowProducts.ts';
import { compareDirections, directionsOf } from '../../src/dictionary/mmcs.ts';
import type { DictionaryConfig, DictionaryWeights } from '../../src/domain/dictionary.ts';
import { CallerError } from '../../src/domain/errors.ts';
import type { HookPoint } from '../../src/domain/hookPoint.ts';
import { evaluate, evaluationFile, type DictionaryEvaluation, type DictionarySource, type EvaluateInput } from '../../src/pipelines/evaluate.ts';
import { compareDictionaries } from '../../src/pipelines/evaluateComparisons.ts';
import type { SubjectModel } from '../../src/ports/SubjectModel.ts';
import type { TokenRows } from '../../src/ports/TokenRows.ts';
import { quietProgress } from '../helpers/quietProgress.ts';
import { withFolder } from '../helpers/withFolder.ts';

const FIXTURE = join(import.meta.dirname, '..', 'fixtures', 'evaluate');

type Case = Pick<DictionaryConfig, 'name' | 'hookPoint' | 'outputHookPoint' | 'k' | 'inputScale' | 'outputScale'> &
  Pick<DictionaryEvaluation, 'fvu' | 'l0' | 'aliveShare' | 'aliveShareOverTen' | 'reconstruction' | 'splice'> & { readonly skipPositions: number };
interface Expected {
  readonly cases: readonly Case[];
  readonly comparisons: readonly ({ readonly a: string; readonly b: string } & Record<string, unknown>)[];
}

let model: SubjectModel;
const scorer = openPredictionScorer(2);
let tensors: Map<string, Tensor>;
let expected: Expected;
before(async () => {
  model = await openSubjectModel(join(import.meta.dirname, '..', '..', 'models', 'demo'), { device: 'cpu', workers: 2 });
  tensors = (await readTensorFile(join(FIXTURE, 'cases.safetensors')))!.tensors;
  expected = JSON.parse(await readFile(join(FIXTURE, 'expected.json'), 'utf8')) as Expected;
});
after(() => Promise.all([model.close(), scorer.close()]));

function config(parts: Partial<DictionaryConfig> & Pick<DictionaryConfig, 'name' | 'hookPoint' | 'nFeatures'>): DictionaryConfig {
  const { dModel: D } = model.info;
  return { formatVersion: 1, model: 'demo', outputHookPoint: null, architecture: 'untied', dIn: D, dOut: D, k: null, l1: null, inputScale: 1, outputScale: 1, weightsHash: 'h', run: 'r', ...parts };
}

function source(weights: DictionaryWeights): DictionarySource {
  return { config: weights.config, load: async () => weights };
}

/** The fixture's dictionary of this name. */
function fixed({ name, hookPoint, outputHookPoint, k, inputScale, outputScale }: Case): DictionaryWeights {
  const of = (part: string): Float32Array => tensors.get(`${name}.${part}`)!.data;
  const encoderBias = of('encoder_bias');
  return {
    config: config({ name, hookPoint, outputHookPoint, k, inputScale, outputScale, nFeatures: encoderBias.length }),
    encoder: of('encoder'),
    encoderBias,
    threshold: tensors.get(`${name}.threshold`)?.data ?? null,
    decoder: of('decoder'),
    decoderBias: of('decoder_bias'),
    skip: null,
  };
}

/** c·decoder + bias with `decoder` [2D, D] times ± the identity: `scale` 1 gives everything back, 0 only the bias. */
function signedIdentity(name: string, hookPoint: HookPoint, scale: number, decoderBias = new Float32Array(model.info.dModel)): DictionaryWeights {
  const { dModel: D } = model.info;
  const encoder = new Float32Array(2 * D * D);
  for (let d = 0; d < D; d++) {
    encoder[d * D + d] = 1;
    encoder[(D + d) * D + d] = -1;
  }
  return { config: config({ name, hookPoint, nFeatures: 2 * D }), encoder, encoderBias: new Float32Array(2 * D), threshold: null, decoder: encoder.map((value) => scale * value), decoderBias, skip: null };
}

interface Setting {
  readonly skipPositions?: number;
  readonly on?: SubjectModel;
  /** How often the fixture's rows are repeated. */
  readonly repeat?: number;
  readonly workers?: number;
}

/** Token files opened, closed at the end. */
const opened: TokenRows[] = [];
after(() => Promise.all(opened.map((tokens) => tokens.close())));

async function inputOf(folder: string, dictionaries: readonly DictionarySource[], { skipPositions = 0, on = model, repeat = 1, workers = 2 }: Setting = {}): Promise<EvaluateInput> {
  const { shape, data } = tensors.get('ids')!;
  const [rows, cols] = shape as [number, number];
  const path = join(folder, `tokens-${repeat}`);
  if (!(await stat(`${path}.json`).then(() => true, () => false))) {
    await writeTokenRows(path, { cols, tokenizerHash: on.info.tokenizerHash, vocabSize: on.info.vocabSize }, Array.from({ length: repeat }, () => Int32Array.from(data)));
  }
  const tokens = await openTokenRows(path);
  opened.push(tokens);
  const dir = join(folder, 'run');
  await mkdir(dir, { recursive: true });
  return {
    model: on, scorer, reader: openDictionaryReader({ workers }), artefacts: fileArtefacts(), progress: quietProgress(), dictionaries,
    tokens, rows: Uint32Array.from({ length: rows * repeat }, (_, i) => i), skipPositions, dir,
  };
}

/** Evaluates in a folder of its own. */
function evaluated(dictionaries: readonly DictionaryWeights[], setting: Setting = {}): Promise<readonly DictionaryEvaluation[]> {
  return withFolder(async (folder) => (await evaluate(await inputOf(folder, dictionaries.map(source), setting))).evaluations);
}

/** Every number of `wanted` is that of `found` within 1e-4, relative above 1. */
function agrees(found: unknown, wanted: unknown, what: string): void {
  if (typeof wanted === 'number') {
    assert.ok(typeof found === 'number' && Math.abs(found - wanted) <= 1e-4 * Math.max(1, Math.abs(wanted)), `${what}: ${String(found)}, expected ${wanted}`);
  } else if (typeof wanted === 'object' && wanted !== null) {
    for (const [key, value] of Object.entries(wanted)) agrees((found as Record<string, unknown>)[key], value, `${what}.${key}`);
  } else {
    assert.equal(found, wanted, what);
  }
}

for (const name of ['stream', 'branch', 'transcoder']) {
  test(`agrees with transformers: ${name}`, async () => {
    const wanted = expected.cases.find((each) => each.name === name)!;
    const [found] = await evaluated([fixed(wanted)], { skipPositions: wanted.skipPositions });
    for (const part of ['fvu', 'l0', 'aliveShare', 'aliveShareOverTen', 'reconstruction', 'splice'] as const) agrees(found![part], wanted[part], `${name} ${part}`);
    assert.equal(found!.density.counts.reduce((sum, count) => sum + count, 0) + found!.density.dead, found!.nFeatures);
  });
}

test('comparisons of directions agree with numpy and scipy', async () => {
  const products = openRowProducts(2);
  try {
    for (const { a, b, ...wanted } of expected.comparisons) {
      const of = (set: string) => directionsOf({ config: config({ name: set, hookPoint: 'embed', nFeatures: 1 }), decoder: (tensors.get(`${set}.decoder`) ?? tensors.get(set))!.data });
      agrees(await compareDirections(of(a), of(b), (x, y, width) => products.products(x, y, width)), wanted, `${a} – ${b}`);
    }
  } finally {
    await products.close();
  }
});

test('a perfect dictionary loses nothing, zeroes recover nothing, and the mean is the mean ablation', async () => {
  for (const hook of ['resid_post.1', 'mlp_out.1', 'attn_out.3', 'mlp_in.0', 'embed', 'resid_post.3'] as const) {
    const [perfect, zero] = await evaluated([signedIdentity('perfect', hook, 1), signedIdentity('zero', hook, 0)]);
    assert.equal(perfect!.fvu, 0, hook);
    assert.ok(Math.abs(perfect!.splice.ceRecovered! - 1) < 1e-6, hook);
    assert.ok(Math.abs(perfect!.splice.ceSpliced - perfect!.splice.ceOriginal) < 1e-6, hook);
    assert.ok(perfect!.splice.klSpliced < 1e-6, hook);
    assert.ok(Math.abs(perfect!.reconstruction.cosine! - 1) < 1e-6 && Math.abs(perfect!.reconstruction.relativeBias! - 1) < 1e-6);
    assert.equal(zero!.splice.ceSpliced, zero!.splice.ceZero, hook);
    assert.deepEqual([zero!.splice.ceRecovered, zero!.splice.klRecovered, zero!.reconstruction.l2Ratio, zero!.reconstruction.cosine, zero!.reconstruction.relativeBias], [0, 0, 0, 0, null]);
    assert.ok(zero!.fvu >= 1);
  }
  const mean = new Float32Array(model.info.dModel);
  const input = tensors.get('ids')!;
  const [rows, cols] = input.shape as [number, number];
  const { taps } = await model.forward({ batch: { rows, cols, ids: Int32Array.from(input.data), lengths: new Int32Array(rows).fill(cols) }, taps: ['resid_post.1'], logits: 'none' });
  const sums = new Float64Array(mean.length);
  taps.get('resid_post.1')!.forEach((value, at) => void (sums[at % mean.length]! += value / (rows * cols)));
  mean.set(sums);
  const [constant] = await evaluated([signedIdentity('mean', 'resid_post.1', 0, mean)]);
  assert.ok(Math.abs(constant!.fvu - 1) < 1e-5);
  assert.ok(Math.abs(constant!.splice.ceSpliced - constant!.splice.ceMean) < 1e-5 && Math.abs(constant!.splice.ceRecoveredFromMean!) < 1e-5);
});

test('skipped positions keep their activations and count nowhere', async () => {
  const [all] = await evaluated([signedIdentity('zero', 'resid_post.1', 0)]);
  const [skipped] = await evaluated([signedIdentity('zero', 'resid_post.1', 0)], { skipPositions: 30 });
  assert.deepEqual([all!.vectors, all!.splice.predictions, skipped!.vectors, skipped!.splice.predictions], [4 * 32, 4 * 31, 4 * 2, 4]);
  assert.notEqual(skipped!.splice.ceZero, all!.splice.ceZero);
  await assert.rejects(evaluated([signedIdentity('zero', 'resid_post.1', 0)], { skipPositions: 31 }), { code: 'BAD_INPUT' });
});

test('numbers depend neither on the workers nor on what is evaluated together', async () => {
  const three = expected.cases.map(fixed);
  const setting = { repeat: 17 }; // two batches
  const together = await evaluated([...three, signedIdentity('perfect', 'resid_post.1', 1)], setting);
  const other = await openSubjectModel(join(import.meta.dirname, '..', '..', 'models', 'demo'), { device: 'cpu', workers: 1 });
  try {
    for (const [i, weights] of [...three.entries()].slice(0, 2)) assert.deepEqual(await evaluated([weights], { ...setting, on: other, workers: 1 }), [together[i]]);
  } finally {
    await other.close();
  }
});

test('a stopped evaluation goes on with the dictionaries that are left', async () => {
  await withFolder(async (folder) => {
    const [stream, branch] = expected.cases.map(fixed);
    const failing: DictionarySource = { config: branch!.config, load: () => Promise.reject(new Error('stopped here')) };
    await assert.rejects(evaluate(await inputOf(folder, [source(stream!), failing])), /stopped here/);
    assert.deepEqual((await readdir(join(folder, 'run'))).sort(), [evaluationFile('stream')]);
    const finished: DictionarySource = { config: stream!.config, load: () => Promise.reject(new Error('loaded again')) };
    const second = await evaluate(await inputOf(folder, [finished, source(branch!)]));
    assert.deepEqual(second.evaluations, await evaluated([stream!, branch!]));
    assert.deepEqual(second.forwardRuns, { mean: 1, original: 1, replaced: 3 });
    const third = await evaluate(await inputOf(folder, [finished, { ...failing }]));
    assert.deepEqual([third.evaluations, third.forwardRuns], [second.evaluations, { mean: 0, original: 0, replaced: 0 }]);
  });
});

test('comparisons pair dictionaries of one hook point and are kept', async () => {
  await withFolder(async (folder) => {
    const products = openRowProducts(1);
    try {
      const all = [signedIdentity('a', 'resid_post.1', 1), signedIdentity('b', 'resid_post.1', 2), signedIdentity('c', 'mlp_out.1', 1), fixed(expected.cases[0]!)];
      const ports = { products, artefacts: fileArtefacts(), progress: quietProgress(), dir: folder };
      const found = await compareDictionaries({ ...ports, dictionaries: all.map(source) });
      assert.deepEqual(found.map(({ a, b }) => `${a} ${b}`), ['a b', 'a stream', 'b stream']);
      assert.ok(Math.abs(found[0]!.matching!.mean - 1) < 1e-6 && found[1]!.matching!.pairs === 20);
      const unloaded = all.map((weights): DictionarySource => ({ config: weights.config, load: () => Promise.reject(new Error('loaded again')) }));
      assert.deepEqual(await compareDictionaries({ ...ports, dictionaries: unloaded }), found);
      await rm(join(folder, 'comparisons.ndjson'));
    } finally {
      await products.close();
    }
  });
});

test("refuses the caller's mistakes", async () => {
  const good = fixed(expected.cases[0]!);
  const refused = async (dictionaries: readonly DictionaryWeights[], code: string, change: Partial<EvaluateInput> = {}): Promise<void> => {
    await withFolder(async (folder) => {
      await assert.rejects(evaluate({ ...(await inputOf(folder, dictionaries.map(source))), ...change }), (error) => error instanceof CallerError && error.code === code);
    });
  };
  await refused([], 'BAD_INPUT');
  await refused([good, good], 'BAD_INPUT');
  await refused([good], 'BAD_INPUT', { rows: new Uint32Array(0) });
  await refused([{ ...good, config: { ...good.config, dOut: 7 } }], 'BAD_DICTIONARY');
  await refused([{ ...good, config: { ...good.config, hookPoint: 'resid_post.9' } }], 'BAD_INPUT');
  await refused([{ ...good, decoderBias: good.decoderBias.map(() => Number.NaN) }], 'BAD_INPUT');
});
