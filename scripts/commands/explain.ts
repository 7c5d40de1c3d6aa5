import type { Command } from 'commander';
import { EXPLAIN_DEFAULTS } from '../../src/pipelines/explain.ts';
import { count, seedOption, setOption } from '../options.ts';
import { explainStage } from '../stages/explain.ts';
import { usingModel, withModelOptions, type ModelOptions } from './shared.ts';

export function explainCommand(program: Command): void {
  withModelOptions(program.command('explain'))
    .description('Describe features by patterns of tokens (no language model needed) and score the descriptions on held-out fragments')
    .addOption(setOption())
    .option('--features <count>', 'first so many features by index (the paper took 150; default: all)', count())
    .option('--min-fragments <count>', 'fragments with varying activation a feature needs, 1 to 20; others are skipped and counted', count(), EXPLAIN_DEFAULTS.minFragments)
    .option('--chunk <features>', 'features explained together: what a killed run does again', count(), EXPLAIN_DEFAULTS.chunk)
    .addOption(seedOption())
    .action(async (options: ModelOptions & { set: string; features?: number; minFragments: number; chunk: number; seed: number }) => {
      await usingModel(options, async ({ workspace, located, model, tokenizer }) => {
        await explainStage(workspace, located, model, tokenizer, options.set, { features: options.features ?? 'all', minFragments: options.minFragments, chunk: options.chunk, seed: options.seed });
      });
    });
}
