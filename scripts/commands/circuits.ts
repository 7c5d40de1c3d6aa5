import type { Command } from 'commander';
import { CIRCUIT_DEFAULTS } from '../../src/pipelines/circuits.ts';
import { count, number, setOption } from '../options.ts';
import { circuitsStage } from '../stages/circuits.ts';
import { usingModel, withModelOptions, type ModelOptions } from './shared.ts';

export function circuitsCommand(program: Command): void {
  const D = CIRCUIT_DEFAULTS;
  withModelOptions(program.command('circuits'))
    .description('Measure by ablation which earlier features feed chosen features')
    .addOption(setOption())
    .option('--targets <address...>', 'features to explain, {model}/{dictionary}/{index}', [])
    .option('--best <count>', 'also so many features of the last dictionary with the best scores', count(0), 4)
    .option('--promotes <token...>', 'also the feature of the last dictionary that raises this token most, e.g. ")"', [])
    .option('--contexts <count>', 'top contexts measured per feature', count(), D.contexts)
    .option('--threshold <effect>', 'leave out edges of smaller mean relative drop', number(0, 1), D.threshold)
    .option('--keep <count>', 'edges kept per feature, strongest first', count(), D.keep)
    .action(async (options: ModelOptions & { set: string; targets: string[]; best: number; promotes: string[]; contexts: number; threshold: number; keep: number }) => {
      const { set, targets, best, promotes, contexts, threshold, keep } = options;
      await usingModel(options, async ({ workspace, located, model, tokenizer }) => {
        await circuitsStage(workspace, located, model, tokenizer, set, { targets, best, promotes }, { ...D, contexts, threshold, keep });
      });
    });
}
