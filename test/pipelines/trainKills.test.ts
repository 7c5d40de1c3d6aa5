import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { fileArtefacts } from '../../src/adapters/files/artefacts.ts';
import { openTrainingEngine } from '../../src/adapters/ort/trainerEngine.ts';
import { Rng } from '../../src/math/rng.ts';
import { modelSource } from '../../src/pipelines/harvest.ts';
import { sweepRecipes } from '../../src/pipelines/sweep.ts';
import { trainDictionaries } from '../../src/pipelines/train.ts';
import type { TrainResult } from '../../src/pipelines/trainContract.ts';
import { TRAIN_DEFAULTS } from '../../src/pipelines/trainOptions.ts';
import type { TrainOptions } from '../../src/pipelines/trainOptions.ts';
import { hashModel } from '../helpers/hashModel.ts';
import { memoryTokens } from '../helpers/memoryTokens.ts';
import { quietProgress } from '../helpers/quietProgress.ts';
import { withFolder } from '../helpers/withFolder.ts';

const HOOKS = ['resid_post.0'] as const;
const ROWS = 200;
const COLS = 20;
const KILLS = 8;
const recipes = sweepRecipes({
  architectures: ['tied', 'topk', 'batchtopk', 'jumprelu', 'gated', 'matryoshka'], ratios: [3], sparsities: [], ks: [3], seeds: [0],
  hyper: {}, output: null, skip: false, set: null,
});
const options: TrainOptions = { ...TRAIN_DEFAULTS, recipes, batchSize: 64, blockVectors: 400, heldOutVectors: 300, epochs: 2, checkpointBlocks: 1, seed: 5 };
const input = (dir: string) => ({ model: 'hash', rows: ROWS, cols: COLS, run: 'key', dir });

async function here(dir: string): Promise<TrainResult> {
  const engine = openTrainingEngine({ workers: 2, threadsPerWorker: 1 });
  const source = modelSource({ model: hashModel(), tokens: memoryTokens(ROWS, COLS), hookPoints: HOOKS, skipPositions: 0, tokensPerForward: 80 });
  try {
    return await trainDictionaries({ source, engine, artefacts: fileArtefacts(), progress: quietProgress() }, input(dir), options);
  } finally {
    await engine.close();
  }
}

function elsewhere(dir: string): ReturnType<typeof spawn> {
  const url = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);
  const script = `
    import { fileArtefacts } from ${url('../../src/adapters/files/artefacts.ts')};
    import { openTrainingEngine } from ${url('../../src/adapters/ort/trainerEngine.ts')};
    import { modelSource } from ${url('../../src/pipelines/harvest.ts')};
    import { trainDictionaries } from ${url('../../src/pipelines/train.ts')};
    import { hashModel } from ${url('../helpers/hashModel.ts')};
    import { memoryTokens } from ${url('../helpers/memoryTokens.ts')};
    import { quietProgress } from ${url('../helpers/quietProgress.ts')};
    const source = modelSource({ model: hashModel({ jitter: 8 }), tokens: memoryTokens(${ROWS}, ${COLS}), hookPoints: ${JSON.stringify(HOOKS)}, skipPositions: 0, tokensPerForward: 80 });
    const engine = openTrainingEngine({ workers: 2, threadsPerWorker: 1 });
    await trainDictionaries({ source, engine, artefacts: fileArtefacts(), progress: quietProgress(() => process.stdout.write('.')) }, ${JSON.stringify(input(dir))}, ${JSON.stringify(options)});
    await engine.close();`;
  return spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
}

test('a sweep of every kind of dictionary, killed again and again at random moments, ends with the same weights', async () => {
  await withFolder(async (dir) => {
    const whole = await here(join(dir, 'whole'));
    const killed = join(dir, 'killed');
    const rng = new Rng(7);
    const progress: string[] = [];
    for (let i = 0; i < KILLS; i++) {
      const child = elsewhere(killed);
      const exited = once(child, 'exit');
      // Nothing is done in the first moments, so count blocks, then wait for any moment of the next one.
      for (let blocks = rng.int(3); blocks > 0; blocks--) await once(child.stdout!, 'data');
      await setTimeout(Math.round(60 * rng.next()));
      child.kill('SIGKILL');
      await exited;
      const pointer = await readFile(join(killed, 'checkpoint.json'), 'utf8').catch(() => '');
      progress.push(pointer === '' ? '-' : String((JSON.parse(pointer) as { blocks: number }).blocks));
    }
    assert.ok(new Set(progress).size > 1, `kills at different places: ${progress.join(' ')}`);
    const resumed = await here(killed);
    assert.deepEqual(resumed.dictionaries, whole.dictionaries, `after kills at blocks ${progress.join(' ')}`);
    const files = async (at: string): Promise<string[]> => (await readdir(at, { recursive: true })).filter((name) => !name.endsWith('.tmp')).sort();
    assert.deepEqual(await files(killed), await files(join(dir, 'whole')), 'nothing of the killed runs is left but temporary files');
  });
});
