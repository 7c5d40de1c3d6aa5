import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileArtefacts } from '../../src/adapters/files/artefacts.ts';
import { readTextFile } from '../../src/adapters/files/textSource.ts';
import { openSubjectModel } from '../../src/adapters/ort/openSubjectModel.ts';
import { openTrainingEngine } from '../../src/adapters/ort/trainerEngine.ts';
import { openTokenizer } from '../../src/adapters/tokenizers/openTokenizer.ts';
import { modelSource } from '../../src/pipelines/harvest.ts';
import { sweepRecipes } from '../../src/pipelines/sweep.ts';
import { tokeniseRows } from '../../src/pipelines/tokenise.ts';
import { trainDictionaries } from '../../src/pipelines/train.ts';
import { TRAIN_DEFAULTS } from '../../src/pipelines/trainOptions.ts';
import { gather } from '../helpers/gather.ts';
import { quietProgress } from '../helpers/quietProgress.ts';
import { withFolder } from '../helpers/withFolder.ts';

const SHARED = join(import.meta.dirname, '../../../shared');
const MODEL = join(SHARED, 'models/stories260k');
const TEXT = join(SHARED, 'text/pride-and-prejudice.txt');
const skip = [MODEL, TEXT].every(existsSync) ? false : 'shared models and texts are not here';
const COLS = 128;

test("the paper's trends hold on a real model: more sparsity, fewer active features and more unexplained; wider, less unexplained", { skip }, async () => {
  const tokenizer = await openTokenizer(MODEL);
  const model = await openSubjectModel(MODEL, { name: 'stories260k', device: 'cpu' });
  const engine = openTrainingEngine({ workers: 2, threadsPerWorker: 1 });
  try {
    const documents = readTextFile(TEXT);
    const chunks = await gather(tokeniseRows({ documents, tokenizer }, { cols: COLS, maxTokens: 120_000 }, quietProgress()));
    const ids = Int32Array.from(chunks.flatMap((chunk) => [...chunk]));
    const tokens = {
      rows: ids.length / COLS, cols: COLS, hash: 'text', tokenizerHash: model.info.tokenizerHash,
      read: (indices: ArrayLike<number>) => Promise.resolve(Int32Array.from(Array.from(indices).flatMap((i) => [...ids.subarray(i * COLS, (i + 1) * COLS)]))),
      close: () => Promise.resolve(),
    };
    const base = { architectures: ['tied'], ks: [], seeds: [0], hyper: {}, output: null, skip: false, set: null } as const;
    const sparsities = [2e-3, 8e-3, 3.2e-2];
    const ratios = [1, 2, 4];
    const recipes = [...sweepRecipes({ ...base, ratios: [2], sparsities, set: 'alpha' }), ...sweepRecipes({ ...base, ratios, sparsities: [8e-3], set: 'width' })];
    await withFolder(async (dir) => {
      const source = modelSource({ model, tokens, hookPoints: ['resid_post.2'], skipPositions: 1, tokensPerForward: 1024 });
      const { dictionaries } = await trainDictionaries(
        { source, engine, artefacts: fileArtefacts(), progress: quietProgress() },
        { model: 'stories260k', rows: tokens.rows, cols: COLS, run: 'key', dir },
        { ...TRAIN_DEFAULTS, recipes, batchSize: 256, heldOutVectors: 8192, skipPositions: 1, epochs: 4 },
      );
      const of = (set: string) => dictionaries.find(({ folder }) => folder === `2-${set}`)!.quality;
      const byAlpha = sparsities.map((sparsity) => of(`alpha-s${sparsity}`));
      const byWidth = ratios.map((ratio) => of(`width-r${ratio}`));
      const shown = JSON.stringify({ byAlpha, byWidth });
      for (let i = 1; i < 3; i++) {
        assert.ok(byAlpha[i]!.l0 < byAlpha[i - 1]!.l0 && byAlpha[i]!.fvu > byAlpha[i - 1]!.fvu, shown);
        assert.ok(byWidth[i]!.fvu < byWidth[i - 1]!.fvu, shown);
      }
      assert.ok(byAlpha[0]!.fvu < 0.3 && byAlpha[0]!.l0 < 64, `a useful dictionary: ${shown}`);
    });
  } finally {
    await engine.close();
    await model.close();
  }
});
