import type { Command } from 'commander';
import { fileText } from '../stages/textSources.ts';
import { tokensStage, withTokens } from '../stages/tokens.ts';
import { trainRowsOf } from '../stages/build.ts';
import { trainStage } from '../stages/train.ts';
import { ENGINES, type EngineName } from '../stages/trainingEngine.ts';
import { harvestStage, withShardOptions, type ShardFlags } from './harvest.ts';
import { oneOf } from './sweepOptions.ts';
import { usingModel, withModelOptions, type ModelOptions } from './shared.ts';
import { hookPointsOf, trainOptionsOf, withTextOptions, withTrainOptions, type TextOptions, type TrainFlags } from './trainOptions.ts';

export function trainCommand(program: Command): void {
  withShardOptions(withTrainOptions(withTextOptions(withModelOptions(program.command('train')))))
    .description("Train dictionaries at every layer asked for, all in one pass over the text; lists of values make a sweep")
    .option('--cache', 'read activations from shards on disk, harvesting them first where they are missing', false)
    .option('--engine <name>', 'ort (onnxruntime) or tfjs (TensorFlow.js, native where @tensorflow/tfjs-node-gpu is installed: slower, gradients by autodiff)', oneOf(...ENGINES), 'ort')
    .action(async (options: ModelOptions & TextOptions & TrainFlags & ShardFlags & { cache: boolean; engine: EngineName }) => {
      await usingModel(options, async ({ workspace, located, model, tokenizer }) => {
        const text = await tokensStage(workspace, fileText(options.text), tokenizer, model.info.vocabSize, { context: options.context, maxTokens: options.tokens ?? null });
        await withTokens(text.dir, async (tokens) => {
          const cacheDir = options.cache ? (await harvestStage(workspace, model, tokens, options)).dir : null;
          const hookPoints = hookPointsOf(options, model.info.layers);
          const trainRows = trainRowsOf(tokens.rows, options.trainShare);
          await trainStage(workspace, { located, model, tokens, tokensDir: text.dir, hookPoints, trainRows, cacheDir, engine: options }, trainOptionsOf(options));
        });
      });
    });
}
