import { InvalidArgumentError, type Command } from 'commander';
import { BASELINE_ARCHITECTURES, type BaselineArchitecture } from '../../src/domain/dictionary.ts';
import { BASELINE_DEFAULTS, type BaselineOptions } from '../../src/pipelines/baselinesOptions.ts';
import { count, number, seedOption } from '../options.ts';
import { baselinesStage } from '../stages/baselines.ts';
import { trainRowsOf } from '../stages/build.ts';
import { fileText } from '../stages/textSources.ts';
import { tokensStage, withTokens } from '../stages/tokens.ts';
import { usingModel, withModelOptions, type ModelOptions } from './shared.ts';
import { hookPointsOf, withTextOptions, type TextOptions } from './trainOptions.ts';

interface BaselineFlags {
  readonly kinds: BaselineArchitecture[];
  readonly topK: number[];
  readonly ratio: number;
  readonly maxVectors?: number;
  readonly blockVectors?: number;
  readonly heldOutVectors: number;
  readonly skipPositions: number;
  readonly sampleVectors: number;
  readonly icaIterations: number;
  readonly icaTolerance: number;
  readonly nmfVectors: number;
  readonly nmfIterations: number;
  readonly nmfTolerance: number;
  readonly trainShare: number;
  readonly seed: number;
}

export function baselinesCommand(program: Command): void {
  const D = BASELINE_DEFAULTS;
  withTextOptions(withModelOptions(program.command('baselines')))
    .description('Fit decompositions to compare dictionaries with, as dictionaries {layer}-pca, {layer}-ica …; every later stage takes them with --set pca')
    .option('--kinds <list>', `any of ${BASELINE_ARCHITECTURES.join(',')}`, kindList, [...D.kinds])
    .option('--top-k <list>', 'besides each, variants that keep the k largest codes, e.g. 32 or 16,64 (sets such as pca-k32)', countList, [...D.topK])
    .option('--ratio <R>', 'random directions per dimension of the stream', number(1e-6, 4096), D.ratio)
    .option('--max-vectors <count>', 'vectors to fit to at most (default: all)', count())
    .option('--block-vectors <count>', 'vectors read at a time (default: what fits 96 MiB over all hook points)', count())
    .option('--sample-vectors <count>', 'vectors that ica is fitted to at most, kept in memory', count(), D.sampleVectors)
    .option('--ica-iterations <count>', 'iterations of FastICA at most', count(), D.ica.maxIterations)
    .option('--ica-tolerance <change>', 'change of direction at which FastICA has converged', number(0, 1), D.ica.tolerance)
    .option('--nmf-vectors <count>', 'of those, vectors that nmf is fitted to at most', count(), D.nmf.sampleVectors)
    .option('--nmf-iterations <count>', 'iterations of NMF at most', count(), D.nmf.maxIterations)
    .option('--nmf-tolerance <share>', 'fall of the error in ten iterations at which NMF has converged', number(0, 1), D.nmf.tolerance)
    .option('--held-out-vectors <count>', 'vectors quality is measured on, never fitted to', count(), D.heldOutVectors)
    .option('--skip-positions <count>', 'first positions of every row to leave out (the paper keeps all)', count(0), D.skipPositions)
    .option('--train-share <0..1>', 'share of the rows to fit to; the rest is for analyse', number(0.01, 1), 0.8)
    .addOption(seedOption())
    .action(async (options: ModelOptions & TextOptions & BaselineFlags) => {
      await usingModel(options, async ({ workspace, located, model, tokenizer }) => {
        const text = await tokensStage(workspace, fileText(options.text), tokenizer, model.info.vocabSize, { context: options.context, maxTokens: options.tokens ?? null });
        await withTokens(text.dir, async (tokens) => {
          const input = { located, model, tokens, tokensDir: text.dir, hookPoints: hookPointsOf(options, model.info.layers), trainRows: trainRowsOf(tokens.rows, options.trainShare), workers: options.workers };
          await baselinesStage(workspace, input, optionsOf(options));
        });
      });
    });
}

function optionsOf(flags: BaselineFlags): BaselineOptions {
  const { kinds, topK, ratio, maxVectors, blockVectors, heldOutVectors, skipPositions, sampleVectors, seed } = flags;
  return {
    kinds, topK, ratio, maxVectors: maxVectors ?? null, blockVectors: blockVectors ?? null, heldOutVectors, skipPositions, sampleVectors,
    ica: { maxIterations: flags.icaIterations, tolerance: flags.icaTolerance },
    nmf: { maxIterations: flags.nmfIterations, tolerance: flags.nmfTolerance, sampleVectors: flags.nmfVectors },
    seed,
  };
}

function kindList(text: string): BaselineArchitecture[] {
  const kinds = BASELINE_ARCHITECTURES.filter((kind) => text.split(',').includes(kind));
  if (kinds.length !== new Set(text.split(',')).size) throw new InvalidArgumentError(`expected some of ${BASELINE_ARCHITECTURES.join(',')}.`);
  return kinds;
}

function countList(text: string): number[] {
  return [...new Set(text.split(',').map(count()))].sort((a, b) => a - b);
}
