import { resolve } from 'node:path';
import type { Command } from 'commander';
import { modelOption, seedOption } from '../options.ts';
import { randomise } from '../stages/randomise.ts';
import { locateModel, openWorkspace } from '../workspace.ts';

export function randomiseCommand(program: Command): void {
  program
    .command('randomise')
    .description('Write a copy of a model with random weights, as a control: what is found in it too is no sign of training')
    .addOption(modelOption())
    .requiredOption('--out <folder>', 'new folder for the copy; its name becomes the catalog name')
    .option('--keep-embeddings', 'leave token and position embeddings and the unembedding as trained', false)
    .addOption(seedOption())
    .action(async (options: { model: string; out: string; keepEmbeddings: boolean; seed: number }) => {
      const workspace = openWorkspace();
      const { folder } = await locateModel(workspace, options);
      const out = resolve(options.out);
      await randomise(folder, out, options);
      workspace.progress.say(`randomise: ${out}`);
    });
}
