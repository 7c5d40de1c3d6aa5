import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileArtefacts } from '../../src/adapters/files/artefacts.ts';
import { openTrainingEngine } from '../../src/adapters/ort/trainerEngine.ts';
import { htmlTrainReport } from '../../src/adapters/report/trainReport.ts';
import { modelSource } from '../../src/pipelines/harvest.ts';
import type { ActivationSource } from '../../src/pipelines/harvest.ts';
import { sweepRecipes } from '../../src/pipelines/sweep.ts';
import type { Sweep } from '../../src/pipelines/sweep.ts';
import { trainDictionaries } from '../../src/pipelines/train.ts';
import type { TrainResult } from '../../src/pipelines/trainContract.ts';
import { TIED_RECIPE, TRAIN_DEFAULTS } from '../../src/pipelines/trainOptions.ts';
import type { TrainOptions } from '../../src/pipelines/trainOptions.ts';
import { hashModel } from '../helpers/hashModel.ts';
import { memoryTokens } from '../helpers/memoryTokens.ts';
import { quietProgress } from '../helpers/quietProgress.ts';
import { withFolder } from '../helpers/withFolder.ts';

const artefacts = fileArtefacts();
const tokens = memoryTokens(200, 20);
const base: Sweep = { architectures: ['tied'], ratios: [4], sparsities: [], ks: [], seeds: [0], hyper: {}, output: null, skip: false, set: null };
const options: TrainOptions = { ...TRAIN_DEFAULTS, batchSize: 64, blockVectors: 400, heldOutVectors: 300, checkpointBlocks: 3, seed: 5 };

function from(hookPoints: ActivationSource['hookPoints']): ActivationSource {
  return modelSource({ model: hashModel(), tokens, hookPoints, skipPositions: 0, tokensPerForward: 80 });
}

async function train(dir: string, source: ActivationSource, settings: TrainOptions, hookPoints = source.hookPoints, progress = quietProgress()): Promise<TrainResult> {
  const engine = openTrainingEngine({ workers: 2, threadsPerWorker: 1 });
  try {
    return await trainDictionaries({ source, engine, artefacts, progress, report: htmlTrainReport() }, { model: 'hash', hookPoints, rows: tokens.rows, cols: tokens.cols, run: 'key', dir }, settings);
  } finally {
    await engine.close();
  }
}

test('a sweep names every combination, and values multiply only the architectures that read them', () => {
  const sets = (sweep: Partial<Sweep>): string[] => sweepRecipes({ ...base, ...sweep }).map(({ set }) => set);
  assert.deepEqual(sets({}), ['tied-r4']);
  assert.deepEqual(sets({ ratios: [1, 2], sparsities: [0.004, 8e-3] }), ['tied-r1-s0.004', 'tied-r1-s0.008', 'tied-r2-s0.004', 'tied-r2-s0.008']);
  assert.deepEqual(sets({ architectures: ['tied', 'untied'], seeds: [0, 1], set: 'mine' }), ['mine-tied-seed0', 'mine-tied-seed1', 'mine-untied-seed0', 'mine-untied-seed1']);
  assert.deepEqual(sets({ sparsities: [1e-7] }), ['tied-r4']);
  assert.deepEqual(sweepRecipes({ ...base, sparsities: [0.02] })[0]!.hyper, { sparsity: 0.02 });
  assert.throws(() => sets({ ks: [4] }), /k: tied has no such setting/);
});

test('dictionaries of a sweep are those trained one by one, to the bit; the report shows them', async () => {
  await withFolder(async (dir) => {
    const source = from(['resid_post.0', 'resid_post.1']);
    const recipes = sweepRecipes({ ...base, architectures: ['tied', 'untied'], ratios: [1, 2], sparsities: [0.01, 0.02] });
    const sweep = await train(join(dir, 'sweep'), source, { ...options, recipes });
    assert.equal(sweep.dictionaries.length, 16);
    for (const [i, recipe] of [...recipes.entries()].filter((_, at) => at % 3 === 0)) {
      const alone = await train(join(dir, `alone-${i}`), source, { ...options, recipes: [recipe] });
      for (const { config } of alone.dictionaries) assert.equal(config.weightsHash, sweep.dictionaries.find(({ folder }) => folder === config.name)!.config.weightsHash, config.name);
    }
    const of = (name: string) => sweep.dictionaries.find(({ folder }) => folder === name)!.quality;
    assert.ok(of('0-tied-r2-s0.02').l0 < of('0-tied-r2-s0.01').l0, 'more penalty, fewer active features');
    assert.ok(of('0-tied-r2-s0.02').fvu > of('0-tied-r2-s0.01').fvu);

    const report = await readFile(join(dir, 'sweep', 'report.html'), 'utf8');
    for (const { folder, quality } of sweep.dictionaries) assert.ok(report.includes(folder) && report.includes(quality.fvu.toFixed(4)), folder);
    assert.ok(!/(src|href)="?http/.test(report), 'nothing is loaded from elsewhere');
    assert.equal(await stat(join(dir, 'sweep', 'checkpoint.json')).then(() => true, () => false), false, 'no checkpoint is left behind');
  });
});

test('transcoders predict another hook point; a sweep of them resumes exactly', async () => {
  await withFolder(async (dir) => {
    const hooks = ['resid_pre.1', 'resid_post.1'] as const;
    const recipe = { ...TIED_RECIPE, set: 'untied-r3', architecture: 'untied', ratio: 3, output: 'resid_post', hyper: { learningRate: 3e-3, sparsity: 1e-3 } } as const;
    const settings: TrainOptions = { ...options, epochs: 3, recipes: [recipe, { ...recipe, set: 'untied-r3-skip', skip: true }] };
    const whole = await train(join(dir, 'whole'), from(hooks), settings, ['resid_pre.1']);
    assert.deepEqual(whole.dictionaries.map(({ folder, config }) => [folder, config.hookPoint, config.outputHookPoint]), [
      ['1-resid_pre-to-resid_post-untied-r3', 'resid_pre.1', 'resid_post.1'],
      ['1-resid_pre-to-resid_post-untied-r3-skip', 'resid_pre.1', 'resid_post.1'],
    ]);
    const { weights } = await artefacts.readDictionary(join(dir, 'whole', whole.dictionaries[1]!.folder));
    assert.equal(weights.skip!.length, 16 * 16);
    assert.ok(weights.config.inputScale !== weights.config.outputScale);

    const half = join(dir, 'half');
    let updates = 0;
    const failing = quietProgress(() => {
      if (++updates === 8) throw new Error('pulled the plug');
    });
    await assert.rejects(train(half, from(hooks), settings, ['resid_pre.1'], failing), /pulled the plug/);
    const resumed = await train(half, from(hooks), settings, ['resid_pre.1']);
    assert.ok(resumed.vectorsNow < whole.vectors);
    assert.deepEqual(resumed.dictionaries, whole.dictionaries);
    const again = await train(half, from(hooks), settings, ['resid_pre.1']);
    assert.deepEqual([again.vectorsNow, again.dictionaries], [0, whole.dictionaries], 'a finished run is not trained again');
    await assert.rejects(train(join(dir, 'x'), from(['embed']), settings, ['embed']), /a transcoder from embed to resid_post/);
  });
});

test('float16 shards take half the space and train almost the same dictionary', async () => {
  const { cacheActivations, shardSource } = await import('../../src/pipelines/harvest.ts');
  await withFolder(async (dir) => {
    const hookPoints = ['resid_post.0'] as const;
    const bytes: number[] = [];
    const fvu: number[] = [];
    for (const dtype of ['float32', 'float16'] as const) {
      const cache = join(dir, dtype);
      const layout = { blockVectors: 400, heldOutVectors: 300, seed: 5 };
      await cacheActivations({ artefacts, progress: quietProgress() }, { model: hashModel(), tokens, hookPoints, skipPositions: 0, tokensPerForward: 80, maxVectors: null, dir: cache, layout, dtype });
      bytes.push((await stat(join(cache, 'resid_post.0', 'block-000000.safetensors'))).size);
      const source = shardSource({ artefacts, dir: cache, hookPoints, dIn: 16, skipPositions: 0, modelHash: 'model-hash', tokensHash: tokens.hash });
      fvu.push((await train(join(dir, `run-${dtype}`), source, options)).dictionaries[0]!.quality.fvu);
    }
    assert.ok(bytes[1]! < 0.55 * bytes[0]!);
    assert.ok(fvu[0] !== fvu[1] && Math.abs(fvu[1]! / fvu[0]! - 1) < 0.01, `${fvu}`);
    await assert.rejects(artefacts.writeTensors(join(dir, 'big'), new Map([['x', { shape: [1], data: Float32Array.of(70_000) }]]), {}, 'float16'), /beyond what float16 holds/);
  });
});
