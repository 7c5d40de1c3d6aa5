import type { Command } from 'commander';
import { count, seedOption, setOption } from '../options.ts';
import { analyseStage } from '../stages/analyse.ts';
import { usingModel, withModelOptions, type ModelOptions } from './shared.ts';

export function analyseCommand(program: Command): void {
  withModelOptions(program.command('analyse'))
    .description('Read the text that training left: exemplars, densities, histograms, output tokens and neighbours of every feature')
    .addOption(setOption())
    .option('--max-tokens <count>', 'tokens to read at most (default: all rows that training left)', count())
    .addOption(seedOption())
    .action(async (options: ModelOptions & { set: string; maxTokens?: number; seed: number }) => {
      await usingModel(options, async ({ workspace, located, model }) => {
        await analyseStage(workspace, located, model, options.set, { maxTokens: options.maxTokens ?? null, seed: options.seed });
      });
    });
}
