import type { Command } from 'commander';
import { cacheActivations, TOKENS_PER_FORWARD } from '../../src/pipelines/harvest.ts';
import { resolveBlockVectors } from '../../src/pipelines/trainOptions.ts';
import { runStage } from '../../src/pipelines/runStage.ts';
import { fileText } from '../stages/textSources.ts';
import { tokensStage, withTokens } from '../stages/tokens.ts';
import { trainRowsOf } from '../stages/build.ts';
import { usingModel, withModelOptions, type ModelOptions } from './shared.ts';
import { hookPointsOf, trainOptionsOf, withTextOptions, withTrainOptions, type TextOptions, type TrainFlags } from './trainOptions.ts';

/**
 * Without --cache: tokenises and says how many vectors there are, since train harvests as it goes. With --cache: writes
 * activation shards, which `train --cache` with the same options reads instead of running the model.
 */
export function harvestCommand(program: Command): void {
  withTrainOptions(withTextOptions(withModelOptions(program.command('harvest'))))
    .description('Run the model over text and keep its activations on disk as shards, for several trainings on the same text')
    .action(async (options: ModelOptions & TextOptions & TrainFlags) => {
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

/** Activation shards of the rows that training takes. */
export async function harvestStage(workspace: Opened['workspace'], model: Opened['model'], tokens: Tokens, options: TextOptions & TrainFlags): ReturnType<typeof runStage> {
  const hookPoints = hookPointsOf(options, model.info.layers);
  const { seed, skipPositions, heldOutVectors, maxVectors, blockVectors } = trainOptionsOf(options);
  const rows = trainRowsOf(tokens.rows, options.trainShare);
  const layout = { seed, heldOutVectors, blockVectors: resolveBlockVectors(blockVectors, hookPoints.length, model.info.dModel) };
  return runStage(
    { store: workspace.runs, progress: workspace.progress },
    { stage: 'harvest', params: { ...layout, hookPoints, skipPositions, maxVectors, rows }, inputs: { model: model.info.weightsHash, tokens: tokens.hash }, seed },
    async (run) => {
      const some = { ...tokens, rows, read: (indices: ArrayLike<number>) => tokens.read(indices) };
      const { vectors, seconds } = await cacheActivations(workspace, { model, tokens: some, hookPoints, skipPositions, tokensPerForward: TOKENS_PER_FORWARD, layout, maxVectors, dir: run.dir });
      return { vectors, seconds };
    },
  );
}
