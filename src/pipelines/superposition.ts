import { divideBy, expectedNormScale } from '../activations/inputScale.ts';
import { resolveHyperparameters } from '../dictionary/hyperparameters.ts';
import { compareDirections, directionsOf } from '../dictionary/mmcs.ts';
import { quality } from '../dictionary/quality.ts';
import { trainableArchitecture } from '../dictionary/registry.ts';
import { SuperpositionData } from '../dictionary/superpositionData.ts';
import type { SuperpositionSpec } from '../dictionary/superpositionData.ts';
import { trainedWeights } from '../dictionary/weights.ts';
import type { TrainableArchitecture } from '../domain/dictionary.ts';
import { CallerError } from '../domain/errors.ts';
import type { Hyperparameters, TrainerSpec, TrainingSizes } from '../domain/training.ts';
import { Rng } from '../math/rng.ts';
import { VarianceMeter } from '../math/varianceMeter.ts';
import type { DictionaryReader } from '../ports/DictionaryReader.ts';
import type { Progress } from '../ports/Progress.ts';
import type { RowProducts } from '../ports/RowProducts.ts';
import type { Trainer, TrainingEngine } from '../ports/TrainingEngine.ts';

export interface SuperpositionPorts {
  readonly engine: TrainingEngine;
  readonly reader: DictionaryReader;
  readonly products: RowProducts;
  readonly progress: Progress;
}

/** One dictionary to train on the synthetic data. */
export interface SuperpositionRecipe {
  readonly architecture: TrainableArchitecture;
  readonly hyper: Partial<Hyperparameters>;
}

export interface SuperpositionOptions {
  readonly data: SuperpositionSpec;
  readonly recipes: readonly SuperpositionRecipe[];
  /** F of every dictionary. */
  readonly nFeatures: number;
  readonly batchSize: number;
  readonly steps: number;
  /** Vectors measured, never trained on. */
  readonly heldOutVectors: number;
}

/** What became of one recipe. */
export interface SuperpositionResult extends SuperpositionRecipe {
  readonly nFeatures: number;
  /** Share of the true directions with a decoder row of cosine above 0.9; higher is better. */
  readonly recovered: number;
  /** MMCS of the true directions to the decoder rows, and back (src/dictionary/mmcs.ts). */
  readonly mmcs: number;
  readonly mmcsBack: number;
  /** Mean cosine of true directions and decoder rows matched one to one; null beyond the limit of matching. */
  readonly matched: number | null;
  /** On held-out vectors; definitions in src/dictionary/quality.ts. */
  readonly fvu: number;
  readonly l0: number;
  readonly aliveShare: number;
}

/** Steps between two reports. */
const BLOCK_STEPS = 16;

/**
 * Trains dictionaries on synthetic superposition data whose true features are known, all on the same vectors in one pass,
 * and measures what they found. Vectors are divided by mean ‖x‖/√D (of the first block) so that coefficients mean what they
 * mean on a model's activations. Memory: two blocks of 16 batches and the trainers.
 */
export async function runSuperposition({ engine, reader, products, progress }: SuperpositionPorts, options: SuperpositionOptions): Promise<SuperpositionResult[]> {
  const { recipes, nFeatures, batchSize, steps, heldOutVectors } = options;
  if (recipes.length === 0) throw new CallerError('BAD_INPUT', 'no dictionaries to train');
  const data = new SuperpositionData(options.data);
  const { dims: D, seed } = options.data;
  const sizes: TrainingSizes = { dIn: D, dOut: D, nFeatures, batchSize, totalSteps: steps };
  const blocks = Math.ceil(steps / BLOCK_STEPS);
  const block = (i: number): Float32Array => {
    const vectors = data.vectors(String(i), Math.min(BLOCK_STEPS, steps - i * BLOCK_STEPS) * batchSize);
    const shared = new Float32Array(new SharedArrayBuffer(vectors.byteLength)); // all trainers read one copy
    shared.set(vectors);
    return shared;
  };
  let next = block(0);
  const scale = expectedNormScale(next, D);
  divideBy(next, scale);
  const centre = new VarianceMeter(D);
  centre.add(next);

  const trainers: Trainer[] = [];
  try {
    for (const [i, { architecture, hyper }] of recipes.entries()) {
      const resolved = resolveHyperparameters(trainableArchitecture(architecture), sizes, hyper);
      const spec: TrainerSpec = { ...sizes, architecture, transcoder: false, skip: false, hyper: resolved, seed: Rng.derive(seed, 'superposition', 'trainer', architecture, i).uint32() };
      trainers.push(await engine.create(spec, { kind: 'fresh', centre: Float32Array.from(centre.mean()) }));
    }
    const task = progress.start(`superposition: ${recipes.length} dictionaries`, steps, 'steps');
    for (let i = 0; i < blocks; i++) {
      const vectors = next;
      const training = Promise.all(trainers.map((trainer) => trainer.steps(vectors)));
      training.catch(() => undefined); // awaited below, after the next block is made
      if (i + 1 < blocks) divideBy((next = block(i + 1)), scale);
      const stats = await training;
      stats.forEach((each, r) => {
        const loss = each.find((step) => !Number.isFinite(step.loss))?.loss;
        if (loss !== undefined) throw new CallerError('BAD_INPUT', `training ${recipes[r]!.architecture} diverged: loss ${loss}; expected a finite loss. Try a lower learning rate or sparsity`);
      });
      task.update(Math.min(steps, (i + 1) * BLOCK_STEPS));
    }
    task.finish();

    const heldOut = data.vectors('held out', heldOutVectors);
    const meter = new VarianceMeter(D);
    meter.add(heldOut);
    const truth = { rows: data.directions, width: D };
    const results: SuperpositionResult[] = [];
    for (const [i, recipe] of recipes.entries()) {
      const trainer = trainers[i]!;
      const weights = trainedWeights({ name: `0-${recipe.architecture}-${i}`, model: 'superposition', hookPoint: 'embed', outputHookPoint: null, inputScale: scale, outputScale: scale, run: '' }, trainer.spec, await trainer.state());
      const dictionary = await reader.open(weights);
      try {
        const { fvu, l0, aliveShare } = quality(await dictionary.read(heldOut), meter.sumOfSquares());
        const { aToB, bToA, matching } = await compareDirections(truth, directionsOf(weights), (a, b, width) => products.products(a, b, width));
        results.push({ ...recipe, nFeatures, recovered: aToB.shareAbove, mmcs: aToB.mmcs, mmcsBack: bToA.mmcs, matched: matching?.mean ?? null, fvu, l0, aliveShare });
      } finally {
        await dictionary.close();
      }
    }
    return results;
  } finally {
    await Promise.allSettled(trainers.map((trainer) => trainer.close()));
  }
}
