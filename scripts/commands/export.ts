import { Option, type Command } from 'commander';
import { modelOption } from '../options.ts';
import { EXPORTERS, exportStage } from '../stages/export.ts';
import { locateModel, openWorkspace } from '../workspace.ts';

interface ExportFlags {
  readonly model: string;
  readonly name?: string;
  readonly dictionary: string;
  readonly format: string;
  readonly out: string;
}

export function exportCommand(program: Command): void {
  program
    .command('export')
    .description('Write a dictionary as another library saves its own, so that the library loads it')
    .addOption(modelOption())
    .option('--name <name>', "catalog name of the model; by default the folder's or repository's name, lower-cased")
    .requiredOption('--dictionary <name>', 'dictionary of the model, e.g. 2-tied-r4')
    .addOption(new Option('--format <name>', 'whose format').choices(Object.keys(EXPORTERS)).makeOptionMandatory())
    .requiredOption('--out <folder>', 'empty or new folder')
    .action(async (options: ExportFlags) => {
      const workspace = openWorkspace();
      await exportStage(workspace, await locateModel(workspace, options), options.dictionary, options.format, options.out);
    });
}
