import { InvalidArgumentError, Option, type Command } from 'commander';
import { count, layerList, modelOption, nameOption, workersOption } from '../options.ts';
import { NEAREST_DEFAULTS, nearestStage, type NearestOptions } from '../stages/nearest.ts';
import { locateModel, openWorkspace, type ModelChoice } from '../workspace.ts';

export function nearestCommand(program: Command): void {
  program
    .command('nearest')
    .description('For every feature its nearest in every other dictionary, by cosine of decoder directions; load puts them into the catalog.\nCost: 2·F·F′·d operations a pair of dictionaries')
    .addOption(modelOption())
    .addOption(nameOption())
    .addOption(workersOption())
    .addOption(new Option('--set, --sets <name...>', 'sets of dictionaries, compared within a set and between them; dictionaries are named {layer}-{set}').default(['tied-r4']))
    .option('--neighbours <count>', 'nearest features kept in each other dictionary, at most 100', count(), NEAREST_DEFAULTS.k)
    .option('--layers <list>', 'only dictionaries that write at these layers: all, or 0,2,5 or 0-3', layerList, NEAREST_DEFAULTS.layers)
    .option('--within <layers|all>', 'only dictionaries at most so many layers apart', (text) => (text === 'all' ? null : apart(text)), NEAREST_DEFAULTS.within)
    .action(async (options: ModelChoice & Omit<NearestOptions, 'k'> & { readonly neighbours: number }) => {
      const workspace = openWorkspace();
      const located = await locateModel(workspace, options);
      const { sets, neighbours, layers, within, workers } = options;
      await nearestStage(workspace, located, { sets, k: neighbours, layers, within }, workers);
    });
}

function apart(text: string): number {
  if (!/^\d{1,4}$/.test(text)) throw new InvalidArgumentError('expected all, or a number of layers, e.g. 1.');
  return Number(text);
}
