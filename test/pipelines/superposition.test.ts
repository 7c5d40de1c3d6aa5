import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { openDictionaryReader } from '../../src/adapters/ort/dictionaryReader.ts';
import { openRowProducts } from '../../src/adapters/ort/rowProducts.ts';
import { openTrainingEngine } from '../../src/adapters/ort/trainerEngine.ts';
import { runSuperposition, type SuperpositionOptions, type SuperpositionResult } from '../../src/pipelines/superposition.ts';
import { quietProgress } from '../helpers/quietProgress.ts';

const products = openRowProducts(1);
after(() => products.close());

const OPTIONS: SuperpositionOptions = {
  data: { features: 64, dims: 32, active: 3, power: 0, correlated: false, seed: 0 },
  recipes: [{ architecture: 'tied', hyper: { sparsity: 0.035, learningRate: 4e-3 } }],
  nFeatures: 128,
  batchSize: 512,
  steps: 2500,
  heldOutVectors: 4096,
};

async function run(options: SuperpositionOptions, workers = 1): Promise<SuperpositionResult[]> {
  const engine = openTrainingEngine({ workers, threadsPerWorker: 1 });
  try {
    return await runSuperposition({ engine, reader: openDictionaryReader({ workers: 1 }), products, progress: quietProgress() }, options);
  } finally {
    await engine.close();
  }
}

test('a tied dictionary finds at least 90 % of twice as many true features as there are dimensions', async () => {
  const [tied] = await run(OPTIONS);
  assert.ok(tied!.recovered >= 0.9, `${tied!.recovered}`);
  assert.ok(tied!.mmcs >= 0.93, `${tied!.mmcs}`);
  assert.ok(tied!.fvu < 0.2 && tied!.l0 < 8, `fvu ${tied!.fvu}, l0 ${tied!.l0}`);
});

test('an untrained dictionary finds none, several are trained in one pass, and workers change no bit', async () => {
  const short = { ...OPTIONS, steps: 20, recipes: [...OPTIONS.recipes, { architecture: 'topk', hyper: { k: 3 } }] } as const;
  const one = await run(short, 1);
  assert.deepEqual(one.map(({ architecture }) => architecture), ['tied', 'topk']);
  assert.ok(one.every(({ recovered, mmcs }) => recovered === 0 && mmcs > 0.2 && mmcs < 0.6));
  assert.deepEqual(await run(short, 2), one);
});

test('refuses settings an architecture has not, and training that diverges', async () => {
  await assert.rejects(run({ ...OPTIONS, steps: 2, recipes: [{ architecture: 'topk', hyper: { sparsity: 1 } }] }), { code: 'BAD_INPUT' });
  await assert.rejects(run({ ...OPTIONS, steps: 2, recipes: [] }), { code: 'BAD_INPUT' });
  await assert.rejects(run({ ...OPTIONS, steps: 50, recipes: [{ architecture: 'untied', hyper: { learningRate: 1e30 } }] }), /diverged/);
});
