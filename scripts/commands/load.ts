import type { Command } from 'commander';
import { setOption } from '../options.ts';
import { loadStage } from '../stages/load.ts';
import { usingModel, withModelOptions, type ModelOptions } from './shared.ts';

export function loadCommand(program: Command): void {
  withModelOptions(program.command('load'))
    .description('Put a set of dictionaries with everything found about their features into the catalog, one transaction each')
    .addOption(setOption())
    .action(async (options: ModelOptions & { set: string }) => {
      await usingModel(options, async ({ workspace, located, model, tokenizer }) => {
        await loadStage(workspace, located, model.info, tokenizer, options.set);
      });
    });
}
