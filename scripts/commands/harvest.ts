import type { Command } from 'commander';
import { cacheActivations, TOKENS_PER_FORWARD } from '../../src/pipelines/harvest.ts';
import { resolveBlockVectors } from '../../src/pipelines/trainOptions.ts';
import { hookPointsRead } from '../../src/pipelines/trainLanes.ts';
import { runStage } from '../../src/pipelines/runStage.ts';
import { fileText } from '../stages/textSources.ts';
import { tokensStage, withTokens } from '../stages/tokens.ts';
import { trainRowsOf } from '../stages/build.ts';
import { oneOf } from './sweepOptions.ts';
import { usingModel, withModelOptions, type ModelOptions } from './shared.ts';
import { hookPointsOf, trainOptionsOf, withTextOptions, withTrainOptions, type TextOptions, type TrainFlags } from './trainOptions.ts';

/**
 * Without --cache: tokenises and says how many vectors there are, since train harvests as it goes. With --cache: writes
 * activation shards, which `train --cache` with the same options reads instead of running the model.
 */
export function harvestCommand(program: Command): void {
  withShardOptions(withTrainOptions(withTextOptions(withModelOptions(program.command('harvest')))))
    .description('Run the model over text and keep its activations on disk as shards, for several trainings on the same text')
    .action(async (options: ModelOptions & TextOptions & TrainFlags & ShardFlags) => {
      await usingModel(options, async ({ workspace, model, tokenizer }) => {
        const text = await tokensStage(workspace, fileText(options.text), tokenizer, model.info.vocabSize, { context: options.context, maxTokens: options.tokens ?? null });
        await withTokens(text.dir, async (tokens) => {
          const { dir, run } = await harvestStage(workspace, model, tokens, options);
          workspace.progress.say(`harvest: ${String(run.metrics['vectors'])} vectors per hook point in ${dir}`);
        });
      });
    });
}

type Opened = Parameters<Parameters<typeof usingModel>[1]>[0];
type Tokens = Parameters<Parameters<typeof withTokens>[1]>[0];

export interface ShardFlags {
  readonly shardDtype: 'float32' | 'float16';
}

export function withShardOptions(command: Command): Command {
  return command.option('--shard-dtype <type>', 'float32 (exact) or float16 (half the disk space) for activations on disk', oneOf('float32', 'float16'), 'float32');
}

/** Activation shards of the rows that training takes. */
export async function harvestStage(workspace: Opened['workspace'], model: Opened['model'], tokens: Tokens, options: TextOptions & TrainFlags & ShardFlags): ReturnType<typeof runStage> {
  const { recipes, seed, skipPositions, heldOutVectors, maxVectors, blockVectors } = trainOptionsOf(options);
  const hookPoints = hookPointsRead(hookPointsOf(options, model.info.layers), recipes);
  const rows = trainRowsOf(tokens.rows, options.trainShare);
  const layout = { seed, heldOutVectors, blockVectors: resolveBlockVectors(blockVectors, hookPoints.length, model.info.dModel) };
  return runStage(
    { store: workspace.runs, progress: workspace.progress },
    { stage: 'harvest', params: { ...layout, hookPoints, dtype: options.shardDtype, skipPositions, maxVectors, rows }, inputs: { model: model.info.weightsHash, tokens: tokens.hash }, seed },
    async (run) => {
      const some = { ...tokens, rows, read: (indices: ArrayLike<number>) => tokens.read(indices) };
      const { vectors, seconds } = await cacheActivations(workspace, { model, tokens: some, hookPoints, skipPositions, tokensPerForward: TOKENS_PER_FORWARD, layout, dtype: options.shardDtype, maxVectors, dir: run.dir });
      return { vectors, seconds };
    },
  );
}
