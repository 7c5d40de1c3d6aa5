import type { Command } from 'commander';
import { CIRCUIT_DEFAULTS } from '../../src/pipelines/circuits.ts';
import { FAITHFULNESS_DEFAULTS } from '../../src/pipelines/circuitsTested.ts';
import { CallerError } from '../../src/domain/errors.ts';
import type { TrainOptions } from '../../src/pipelines/trainOptions.ts';
import { count } from '../options.ts';
import { build } from '../stages/build.ts';
import { EXPLAIN_STAGE_DEFAULTS } from '../stages/explain.ts';
import { fileText } from '../stages/textSources.ts';
import { usingModel, withModelOptions, type ModelOptions } from './shared.ts';
import { hookPointsOf, trainOptionsOf, withTextOptions, withTrainOptions, type TextOptions, type TrainFlags } from './trainOptions.ts';

export function buildCommand(program: Command): void {
  withTrainOptions(withTextOptions(withModelOptions(program.command('build'))))
    .description('All stages in order on a model and text of your own, then load the catalog')
    .option('--features <count>', 'explain the first so many features of each dictionary (default: all)', count())
    .option('--best <count>', 'circuits of so many best-scored features of the last dictionary', count(0), 4)
    .option('--promotes <token...>', 'circuits of the feature that raises this token most', [])
    .option('--no-nearest', 'leave out the nearest features across dictionaries: 2·F²·d operations a pair of dictionaries')
    .action(async (options: ModelOptions & TextOptions & TrainFlags & { features?: number; best: number; promotes: string[]; nearest: boolean }) => {
      const train = trainOptionsOf(options);
      await usingModel(options, async ({ workspace, ...opened }) => {
        await build(workspace, opened, {
          text: fileText(options.text),
          tokens: { context: options.context, maxTokens: options.tokens ?? null },
          hookPoints: hookPointsOf(options, opened.model.info.layers),
          trainShare: options.trainShare,
          set: onlySet(train),
          train,
          analyse: { maxTokens: null, seed: options.seed },
          explain: { ...EXPLAIN_STAGE_DEFAULTS, features: options.features ?? 'all', seed: options.seed },
          targets: { targets: [], best: options.best, promotes: options.promotes },
          circuits: { ...CIRCUIT_DEFAULTS, faithfulness: FAITHFULNESS_DEFAULTS },
          device: options.device,
          workers: options.workers,
          nearest: options.nearest,
          reload: false,
        });
      });
    });
}

/** Later stages work on one set. */
function onlySet({ recipes }: TrainOptions): string {
  if (recipes.length !== 1) throw new CallerError('BAD_INPUT', `build makes one set of dictionaries, found ${recipes.map(({ set }) => set).join(', ')}; use train for a sweep, then analyse, explain and load with --set`);
  return recipes[0]!.set;
}
