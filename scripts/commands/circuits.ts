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
    .option('--context-tokens <count>', 'longest context in tokens (the paper took 30)', count(2), D.contextTokens)
    .option('--candidates <count|all>', 'active sources ablated per feature and dictionary, likeliest first; all = every active one (the paper)', (text) => (text === 'all' ? null : count()(text)), D.candidates)
    .option('--keep <count>', 'edges kept per feature, strongest first', count(), D.keep)
    .action(async (options: ModelOptions & { set: string; targets: string[]; best: number; promotes: string[]; contexts: number; contextTokens: number; candidates: number | null; threshold: number; keep: number }) => {
      const { set, targets, best, promotes, ...measured } = options;
      await usingModel(options, async ({ workspace, located, model, tokenizer }) => {
        await circuitsStage(workspace, located, model, tokenizer, set, { targets, best, promotes }, { ...D, contexts: measured.contexts, contextTokens: measured.contextTokens, candidates: measured.candidates, threshold: measured.threshold, keep: measured.keep });
      });
    });
}
