import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { fileArtefacts } from '../../src/adapters/files/artefacts.ts';
import { openTrainingEngine } from '../../src/adapters/ort/trainerEngine.ts';
import { cacheActivations, modelSource, shardSource } from '../../src/pipelines/harvest.ts';
import type { ActivationSource } from '../../src/pipelines/harvest.ts';
import { trainDictionaries } from '../../src/pipelines/train.ts';
import type { TrainResult } from '../../src/pipelines/trainContract.ts';
import { trainedName } from '../../src/pipelines/trainLanes.ts';
import type { TrainMetric } from '../../src/pipelines/trainMetrics.ts';
import { TIED_RECIPE, TRAIN_DEFAULTS } from '../../src/pipelines/trainOptions.ts';
import type { TrainOptions } from '../../src/pipelines/trainOptions.ts';
import { gather } from '../helpers/gather.ts';
import { hashModel } from '../helpers/hashModel.ts';
import { memoryTokens } from '../helpers/memoryTokens.ts';
import { quietProgress } from '../helpers/quietProgress.ts';
import { withFolder } from '../helpers/withFolder.ts';

const artefacts = fileArtefacts();
const tokens = memoryTokens(200, 20);
const hookPoints = ['resid_post.0', 'resid_post.1'] as const;
const options: TrainOptions = { ...TRAIN_DEFAULTS, recipes: [{ ...TIED_RECIPE, set: 'tied-r3', ratio: 3, hyper: { learningRate: 3e-3 } }], batchSize: 64, blockVectors: 400, heldOutVectors: 300, epochs: 2, checkpointBlocks: 3, seed: 5 };

function source(jitter = 0): ActivationSource {
  return modelSource({ model: hashModel({ jitter }), tokens, hookPoints, skipPositions: options.skipPositions, tokensPerForward: 80 });
}

async function train(dir: string, from: ActivationSource, settings: TrainOptions = options, progress = quietProgress(), workers = 2): Promise<TrainResult> {
  const engine = openTrainingEngine({ workers, threadsPerWorker: 1 });
  try {
    return await trainDictionaries({ source: from, engine, artefacts, progress }, { model: 'hash', rows: tokens.rows, cols: tokens.cols, run: 'key', dir }, settings);
  } finally {
    await engine.close();
  }
}

/** The metrics, less the speed, which no two runs share. */
async function curves(dir: string): Promise<Omit<TrainMetric, 'vectorsPerSecond'>[]> {
  const metrics = await gather(artefacts.readRecords<TrainMetric>(join(dir, 'metrics.jsonl')));
  return metrics.map(({ vectorsPerSecond, ...rest }) => {
    assert.ok(vectorsPerSecond > 0);
    return rest;
  });
}

const hashes = (result: TrainResult): string[] => result.dictionaries.map(({ config }) => config.weightsHash);

test('one pass trains a dictionary per hook point that explains held-out activations', async () => {
  await withFolder(async (dir) => {
    const result = await train(dir, source());
    assert.deepEqual(result.dictionaries.map(({ folder }) => folder), ['0-tied-r3', '1-tied-r3']);
    assert.equal(result.vectorsNow, result.vectors);
    for (const { config, quality, folder } of result.dictionaries) {
      assert.ok(quality.fvu < 0.35, `${folder} fvu ${quality.fvu}`);
      assert.equal(quality.vectors, 300);
      assert.ok(config.inputScale > 0.5 && config.inputScale !== 1);
      const read = await artefacts.readDictionary(join(dir, folder));
      assert.deepEqual(read.weights.config, config);
      assert.deepEqual(read.quality, quality);
    }
    assert.notEqual(...(hashes(result) as [string, string]));
    const metrics = await gather(artefacts.readRecords<TrainMetric>(join(dir, 'metrics.jsonl')));
    assert.equal(metrics.at(-1)!.vectors, result.vectors);
    assert.ok(metrics.at(-1)!.loss < metrics[0]!.loss);
    // The estimate while training and the held-out measurement are of the same thing.
    assert.ok(Math.abs(metrics.at(-1)!.fvu - result.dictionaries[1]!.quality.fvu) < 0.1);
  });
});

test('the order in which forward runs finish and the number of workers change no bit', async () => {
  await withFolder(async (dir) => {
    const short = { ...options, epochs: 1 };
    const plain = await train(join(dir, 'a'), source(), short, quietProgress(), 1);
    const jittered = await train(join(dir, 'b'), source(5), short, quietProgress(), 2);
    assert.deepEqual(hashes(jittered), hashes(plain));
    assert.deepEqual(jittered.dictionaries, plain.dictionaries);
  });
});

test('training that fails half way and starts again ends with the same weights and metrics', async () => {
  await withFolder(async (dir) => {
    const whole = await train(join(dir, 'whole'), source());
    for (const failAt of [1, 8]) {
      const half = join(dir, `half-${failAt}`);
      let updates = 0;
      const failing = quietProgress(() => {
        if (++updates === failAt) throw new Error('pulled the plug');
      });
      await assert.rejects(train(half, source(), options, failing), /pulled the plug/);
      const resumed = await train(half, source());
      assert.deepEqual(hashes(resumed), hashes(whole));
      assert.equal(resumed.vectorsNow < whole.vectors, failAt === 8, 'resumes from a checkpoint when there is one');
      assert.deepEqual(await curves(half), await curves(join(dir, 'whole')));
    }
  });
});

test('training that is killed and starts again ends with the same weights', async () => {
  await withFolder(async (dir) => {
    const url = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);
    const script = `
      import { fileArtefacts } from ${url('../../src/adapters/files/artefacts.ts')};
      import { openTrainingEngine } from ${url('../../src/adapters/ort/trainerEngine.ts')};
      import { modelSource } from ${url('../../src/pipelines/harvest.ts')};
      import { trainDictionaries } from ${url('../../src/pipelines/train.ts')};
      import { hashModel } from ${url('../helpers/hashModel.ts')};
      import { memoryTokens } from ${url('../helpers/memoryTokens.ts')};
      import { quietProgress } from ${url('../helpers/quietProgress.ts')};
      const tokens = memoryTokens(200, 20);
      const source = modelSource({ model: hashModel({ jitter: 60 }), tokens, hookPoints: ${JSON.stringify(hookPoints)}, skipPositions: 0, tokensPerForward: 80 });
      const engine = openTrainingEngine({ workers: 1, threadsPerWorker: 1 });
      await trainDictionaries({ source, engine, artefacts: fileArtefacts(), progress: quietProgress() }, { model: 'hash', rows: 200, cols: 20, run: 'key', dir: ${JSON.stringify(join(dir, 'killed'))} }, ${JSON.stringify(options)});`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'inherit' });
    const exited = once(child, 'exit');
    const checkpoint = join(dir, 'killed', 'checkpoint.json');
    while (child.exitCode === null && !(await stat(checkpoint).then(() => true, () => false))) await setTimeout(5);
    child.kill('SIGKILL');
    const [code, signal] = (await exited) as [number | null, string | null];
    assert.equal(signal, 'SIGKILL', `the child ended by itself with ${code}`);
    const resumed = await train(join(dir, 'killed'), source());
    assert.ok(resumed.vectorsNow < resumed.vectors);
    assert.deepEqual(hashes(resumed), hashes(await train(join(dir, 'whole'), source())));
  });
});

test('training from shards on disk equals training from the model, to the bit', async () => {
  await withFolder(async (dir) => {
    const harvest = { model: hashModel(), tokens, hookPoints, skipPositions: 0, tokensPerForward: 80, maxVectors: null, dir: join(dir, 'cache') };
    const layout = { blockVectors: 400, heldOutVectors: 300, seed: 5 };
    const failing = quietProgress((_, done) => {
      if (done > 1500) throw new Error('pulled the plug');
    });
    await assert.rejects(cacheActivations({ artefacts, progress: failing }, { ...harvest, layout }), /pulled the plug/);
    const cached = await cacheActivations({ artefacts, progress: quietProgress() }, { ...harvest, layout });
    assert.ok(cached.writtenNow > 0 && cached.writtenNow < 10, `${cached.writtenNow} groups written by the second call`);

    const shards = { artefacts, dir: join(dir, 'cache'), hookPoints, dIn: 16, skipPositions: 0, modelHash: 'model-hash', tokensHash: tokens.hash };
    const fromShards = await train(join(dir, 'a'), shardSource(shards));
    const fromModel = await train(join(dir, 'b'), source());
    assert.deepEqual(fromShards.dictionaries, fromModel.dictionaries);

    await assert.rejects(train(join(dir, 'c'), shardSource({ ...shards, modelHash: 'other' })), /expected model_hash other, found model-hash/);
    await assert.rejects(train(join(dir, 'd'), shardSource(shards), { ...options, seed: 6 }), /expected rows/);
    await assert.rejects(train(join(dir, 'e'), shardSource({ ...shards, hookPoints: ['mlp_out.0'] })), /mlp_out\.0.*does not exist/);
  });
});

test('at most one forward run more than the model runs at once is under way', async () => {
  const model = hashModel({ jitter: 2 });
  const from = modelSource({ model, tokens, hookPoints: ['embed'], skipPositions: 3, tokensPerForward: 40 });
  const group = { name: 'g', rows: Uint32Array.from({ length: 50 }, (_, i) => 199 - i) };
  const read = await from.read(group, null, 50 * 17);
  assert.equal(model.mostAtOnce(), 3);
  // Each vector is the one the model gives for its row and position.
  const ids = await tokens.read([170]);
  const { taps } = await model.forward({ batch: { rows: 1, cols: 20, ids, lengths: Int32Array.of(20) }, taps: ['embed'], logits: 'none' });
  assert.deepEqual(read.get('embed')!.slice(29 * 17 * 16, 30 * 17 * 16), taps.get('embed')!.slice(3 * 16));
});

test('text and model that do not fit, divergence and wrong options are refused', async () => {
  const of = (changes: object): (() => ActivationSource) => () => modelSource({ model: hashModel(), tokens: { ...tokens, ...changes }, hookPoints, skipPositions: 0, tokensPerForward: 80 });
  assert.throws(of({ tokenizerHash: 'other' }), /TOKENIZER_MISMATCH|tokenise the text again/);
  assert.throws(of({ cols: 65 }), /longer than the 64/);
  await withFolder(async (dir) => {
    const poisoned = (inner: ActivationSource): ActivationSource => ({
      ...inner,
      async read(group, places, limit, into) {
        const read = await inner.read(group, places, limit, into);
        if (group.name === 'block-000002') read.get('resid_post.1')![7] = Number.NaN;
        return read;
      },
    });
    const partial = await train(join(dir, 'a'), poisoned(source()));
    assert.deepEqual(partial.failures.map(({ name }) => name), ['1-tied-r3']);
    assert.match(partial.failures[0]!.reason, /training 1-tied-r3 at resid_post\.1 diverged: loss NaN after 768 vectors/);
    assert.deepEqual(hashes(partial), hashes(await train(join(dir, 'whole'), source())).slice(0, 1), 'the other dictionary is not disturbed');
    const alone = modelSource({ model: hashModel(), tokens, hookPoints: ['resid_post.1'], skipPositions: 0, tokensPerForward: 80 });
    await assert.rejects(train(join(dir, 'c'), poisoned(alone)), /1-tied-r3 at resid_post\.1 diverged/);
    for (const [changes, message] of [
      [{ recipes: [{ ...TIED_RECIPE, ratio: 0 }] }, /ratio: expected a positive number, found 0/],
      [{ recipes: [TIED_RECIPE, TIED_RECIPE] }, /"tied-r4" twice/],
      [{ recipes: [{ ...TIED_RECIPE, hyper: { k: 4 } }] }, /k: the tied architecture has no such setting; it has .*sparsity/],
      [{ recipes: [{ ...TIED_RECIPE, output: 'mlp_out' }] }, /a tied dictionary cannot be a transcoder/],
      [{ batchSize: 1.5 }, /batchSize: expected a positive integer/],
      [{ recipes: [{ ...TIED_RECIPE, hyper: { sparsity: -1 } }] }, /sparsity: expected a number from 0, found -1/],
      [{ skipPositions: 20 }, /skip positions: expected 0 to 19/],
      [{ batchSize: 100_000 }, /no batch of 100000/],
    ] as const) {
      await assert.rejects(train(join(dir, 'b'), source(), { ...options, ...changes }), message);
    }
  });
});

test('names say layer, place, architecture and width', () => {
  assert.equal(trainedName('resid_post.2', { set: 'tied-r4', output: null }), '2-tied-r4');
  assert.equal(trainedName('mlp_out.0', { set: 'tied-r0.5', output: null }), '0-mlp_out-tied-r0.5');
  assert.equal(trainedName('mlp_in.3', { set: 'topk-r4', output: 'mlp_out' }), '3-transcoder-topk-r4');
});
