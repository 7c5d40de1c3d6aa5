import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { InvalidArgumentError, type Command } from 'commander';
import { openDictionaryReader } from '../../src/adapters/ort/dictionaryReader.ts';
import { openRowProducts } from '../../src/adapters/ort/rowProducts.ts';
import { openTrainingEngine } from '../../src/adapters/ort/trainerEngine.ts';
import { trainableArchitecture } from '../../src/dictionary/registry.ts';
import { TRAINABLE_ARCHITECTURES, type TrainableArchitecture } from '../../src/domain/dictionary.ts';
import type { Hyperparameters } from '../../src/domain/training.ts';
import { runStage } from '../../src/pipelines/runStage.ts';
import { runSuperposition, type SuperpositionRecipe, type SuperpositionResult } from '../../src/pipelines/superposition.ts';
import { count, number, seedOption, workersOption } from '../options.ts';
import { fixed, percent, table } from '../table.ts';
import { openWorkspace } from '../workspace.ts';

interface SuperpositionFlags {
  readonly dims: number;
  readonly features?: number;
  readonly active: number;
  readonly power: number;
  readonly correlated: boolean;
  readonly architecture: readonly TrainableArchitecture[];
  readonly sparsity?: readonly number[];
  readonly k?: readonly number[];
  readonly dictionaryFeatures?: number;
  readonly learningRate: number;
  readonly batchSize: number;
  readonly steps: number;
  readonly heldOutVectors: number;
  readonly workers?: number;
  readonly seed: number;
  readonly json: boolean;
}

/** Coefficients around the best on the default data; gated's loss is scaled otherwise. */
const SPARSITIES = [0.02, 0.03, 0.04];
const GATED_SPARSITIES = [0.08, 0.15, 0.3];

export function superpositionCommand(program: Command): void {
  program
    .command('superposition')
    .description('Train dictionaries on synthetic superposition data and measure how many of its true features they find; needs no model')
    .option('--dims <D>', 'dimensions of the vectors', count(2), 32)
    .option('--features <G>', 'true features (default: 2 D)', count(2))
    .option('--active <count>', 'true features active on a vector, on average', number(0.01, 1e6), 3)
    .option('--power <exponent>', 'feature i is active in proportion to i^-exponent; 0 = all equally often', number(0, 10), 0)
    .option('--correlated', 'features tend to be active together', false)
    .option('--architecture <list>', `one or more of ${TRAINABLE_ARCHITECTURES.join(', ')}, or all`, architectures, ['tied'])
    .option('--sparsity <list>', `sparsity coefficients tried (tied, untied, gated; default: ${SPARSITIES.join(',')}, of gated ${GATED_SPARSITIES.join(',')})`, numbers)
    .option('--k <list>', 'active features tried (topk, batchtopk, matryoshka; as target jumprelu; default: --active rounded up)', numbers)
    .option('--dictionary-features <F>', 'features of the dictionaries (default: 2 G)', count())
    .option('--learning-rate <step>', "Adam's step size", number(1e-12, 10), 4e-3)
    .option('--batch-size <vectors>', 'vectors per step', count(), 512)
    .option('--steps <count>', 'steps of training', count(), 3000)
    .option('--held-out-vectors <count>', 'vectors FVU and L0 are measured on', count(), 16_384)
    .option('--json', 'print everything measured as JSON', false)
    .addOption(workersOption())
    .addOption(seedOption())
    .action(async (flags: SuperpositionFlags) => {
      const { results, dir } = await superpositionStage(flags);
      console.log(flags.json ? JSON.stringify(results, null, 2) : `${report(results)}\n\neverything measured: ${dir}`);
    });
}

/** Trains and measures every recipe in one run, whose manifest and results.ndjson hold the numbers. */
async function superpositionStage(flags: SuperpositionFlags): Promise<{ results: readonly SuperpositionResult[]; dir: string }> {
  const workspace = openWorkspace();
  const { dims, active, power, correlated, batchSize, steps, heldOutVectors, seed } = flags;
  const features = flags.features ?? 2 * dims;
  const nFeatures = flags.dictionaryFeatures ?? 2 * features;
  const options = { data: { features, dims, active, power, correlated, seed }, recipes: recipesOf(flags, nFeatures), nFeatures, batchSize, steps, heldOutVectors };
  const finished = await runStage({ store: workspace.runs, progress: workspace.progress }, { stage: 'superposition', params: { ...options }, inputs: {}, seed }, async (run) => {
    const workers = flags.workers ?? workspace.config.workers ?? availableParallelism();
    const engine = openTrainingEngine({ workers: Math.min(workers, options.recipes.length), threadsPerWorker: 1 });
    const products = openRowProducts(1);
    try {
      const results = await runSuperposition({ engine, products, reader: openDictionaryReader({ workers: 1 }), progress: workspace.progress }, options);
      await workspace.artefacts.writeRecords(join(run.dir, 'results.ndjson'), results);
      return { engine: engine.name, results };
    } finally {
      await Promise.all([engine.close(), products.close()]);
    }
  });
  return { results: finished.run.metrics['results'] as readonly SuperpositionResult[], dir: finished.dir };
}

/** One recipe for each value of what decides an architecture's sparsity. */
function recipesOf(flags: SuperpositionFlags, nFeatures: number): SuperpositionRecipe[] {
  const { learningRate, batchSize, steps, active, dims } = flags;
  const sizes = { dIn: dims, dOut: dims, nFeatures, batchSize, totalSteps: steps };
  const k = flags.k ?? [Math.ceil(active)];
  return flags.architecture.flatMap((architecture) => {
    const sparsity = flags.sparsity ?? (architecture === 'gated' ? GATED_SPARSITIES : SPARSITIES);
    const read = trainableArchitecture(architecture).defaults(sizes);
    const variants: Partial<Hyperparameters>[] =
      read.k !== undefined ? k.map((value) => ({ k: value })) : read.targetL0 !== undefined ? k.map((value) => ({ targetL0: value })) : sparsity.map((value) => ({ sparsity: value }));
    // Runs are short: a feature that is silent for 100 batches is dead.
    return variants.map((variant) => ({ architecture, hyper: { learningRate, deadVectors: 100 * batchSize, ...variant } }));
  });
}

function report(results: readonly SuperpositionResult[]): string {
  return table(
    ['dictionary', 'F', 'recovered', 'MMCS', 'back', 'one to one', 'FVU', 'L0', 'alive'],
    results.map(({ architecture, hyper, nFeatures, recovered, mmcs, mmcsBack, matched, fvu, l0, aliveShare }) => [
      `${architecture} ${hyper.k !== undefined ? `k ${hyper.k}` : hyper.targetL0 !== undefined ? `L0 ${hyper.targetL0}` : hyper.sparsity}`,
      String(nFeatures), percent(recovered), fixed(mmcs, 4), fixed(mmcsBack, 4), fixed(matched, 4), fixed(fvu, 4), fixed(l0, 2), percent(aliveShare),
    ]),
  );
}

function numbers(text: string): number[] {
  const values = text.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
  if (!values.every((value) => value >= 0 && Number.isFinite(value))) throw new InvalidArgumentError('expected numbers from 0 with commas between them, e.g. 0.02,0.04.');
  return values;
}

function architectures(text: string): TrainableArchitecture[] {
  if (text === 'all') return [...TRAINABLE_ARCHITECTURES];
  return text.split(',').map((part) => {
    const found = TRAINABLE_ARCHITECTURES.find((name) => name === part.trim());
    if (found === undefined) throw new InvalidArgumentError(`expected all, or some of ${TRAINABLE_ARCHITECTURES.join(', ')} with commas between them.`);
    return found;
  });
}
