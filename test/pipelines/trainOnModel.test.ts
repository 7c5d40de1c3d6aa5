import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileArtefacts } from '../../src/adapters/files/artefacts.ts';
import { openSubjectModel } from '../../src/adapters/ort/openSubjectModel.ts';
import { openTrainingEngine } from '../../src/adapters/ort/trainerEngine.ts';
import { decode, encode } from '../../src/dictionary/encode.ts';
import { VarianceMeter } from '../../src/math/varianceMeter.ts';
import { modelSource } from '../../src/pipelines/harvest.ts';
import { trainDictionaries } from '../../src/pipelines/train.ts';
import { TIED_RECIPE, TRAIN_DEFAULTS } from '../../src/pipelines/trainOptions.ts';
import { memoryTokens } from '../helpers/memoryTokens.ts';
import { quietProgress } from '../helpers/quietProgress.ts';
import { withFolder } from '../helpers/withFolder.ts';

const FOLDER = join(import.meta.dirname, '../fixtures/lm/neox-parallel');
const hookPoints = ['resid_post.0', 'mlp_out.1'] as const;

async function onModel<T>(workers: number, use: (dir: string, model: Awaited<ReturnType<typeof openSubjectModel>>, engine: ReturnType<typeof openTrainingEngine>) => Promise<T>): Promise<T> {
  return await withFolder(async (dir) => {
    const model = await openSubjectModel(FOLDER, { device: 'cpu', workers });
    const engine = openTrainingEngine({ workers, threadsPerWorker: 1 });
    try {
      return await use(dir, model, engine);
    } finally {
      await engine.close();
      await model.close();
    }
  });
}

test('dictionaries of a real model: same bits for any number of workers, quality as the plain encoder finds it', async () => {
  const train = (workers: number) =>
    onModel(workers, async (dir, model, engine) => {
      const tokens = { ...memoryTokens(120, 32, model.info.vocabSize), tokenizerHash: model.info.tokenizerHash };
      const source = modelSource({ model, tokens, hookPoints, skipPositions: 1, tokensPerForward: 128 });
      const options = { ...TRAIN_DEFAULTS, recipes: [{ ...TIED_RECIPE, set: 'tied-r2', ratio: 2, hyper: { sparsity: 1e-3 } }], batchSize: 128, blockVectors: 1000, heldOutVectors: 300, skipPositions: 1, epochs: 3 };
      const { dictionaries } = await trainDictionaries({ source, engine, artefacts: fileArtefacts(), progress: quietProgress() }, { model: 'neox', rows: tokens.rows, cols: tokens.cols, run: 'key', dir }, options);
      const read = await Promise.all(dictionaries.map(({ folder }) => fileArtefacts().readDictionary(join(dir, folder))));
      return { dictionaries, read, model: model.info, tokens };
    });
  const one = await train(1);
  const two = await train(2);
  assert.deepEqual(two.dictionaries, one.dictionaries);

  await onModel(1, async (_, model) => {
    // The held-out rows again, read one by one and in double precision.
    const { layoutRows } = await import('../../src/activations/rowSampler.ts');
    const layout = layoutRows({ rows: 120, cols: 32, skipPositions: 1, blockVectors: 1000, heldOutVectors: 300, seed: 0 });
    for (const { weights, quality } of one.read) {
      const { dIn: D, nFeatures: F, hookPoint } = weights.config;
      const meter = new VarianceMeter(D);
      let error = 0;
      let active = 0;
      for (const row of layout.heldOut.flatMap((group) => [...group.rows])) {
        const ids = await one.tokens.read([row]);
        const { taps } = await model.forward({ batch: { rows: 1, cols: 32, ids, lengths: Int32Array.of(32) }, taps: [hookPoint], logits: 'none' });
        const x = taps.get(hookPoint)!.slice(D);
        const codes = encode(weights, x);
        const back = decode(weights, codes);
        meter.add(x);
        x.forEach((value, i) => (error += (value - back[i]!) ** 2));
        active += codes.filter((c) => c > 0).length;
      }
      assert.equal(quality!.vectors, meter.count);
      assert.ok(Math.abs(error / meter.sumOfSquares() / quality!.fvu - 1) < 1e-3, `${hookPoint}: fvu ${error / meter.sumOfSquares()}, stored ${quality!.fvu}`);
      assert.ok(Math.abs(active / meter.count - quality!.l0) < 0.01 * F);
    }
  });
});
