import type { Command } from 'commander';
import { seedOption, setOption } from '../options.ts';
import { explainStage } from '../stages/explain.ts';
import { explainDryRun } from '../stages/explainPlan.ts';
import { explainTable } from '../stages/explainTable.ts';
import { explainChoiceOf, withExplainOptions, type ExplainFlags } from './explainOptions.ts';
import { usingModel, withModelOptions, type ModelOptions } from './shared.ts';

interface Flags extends ModelOptions, ExplainFlags {
  readonly set: string;
  readonly dictionary?: readonly string[];
  readonly dryRun: boolean;
  readonly seed: number;
}

export function explainCommand(program: Command): void {
  withExplainOptions(withModelOptions(program.command('explain')).addOption(setOption()).option('--dictionary <names...>', 'dictionaries by name, e.g. 2-tied-r4, instead of a whole set'))
    .description(
      'Describe features, by patterns of tokens (no language model needed) or by a language model, and score the descriptions on held-out fragments.\n' +
        'Environment: OPENAI_BASE_URL, OPENAI_API_KEY, EXPLAIN_MODEL, JUDGE_MODEL, EMBEDDING_MODEL. Exit status 4: the budget was reached; the same command with a larger one goes on.',
    )
    .option('--dry-run', 'say how many requests and tokens it would take and what they would cost; send nothing', false)
    .addOption(seedOption())
    .action(async (flags: Flags) => {
      const options = { ...explainChoiceOf(flags), ...(flags.dictionary === undefined ? {} : { only: flags.dictionary }) };
      await usingModel(flags, async ({ workspace, located, model, tokenizer }) => {
        const lines = flags.dryRun
          ? await explainDryRun(workspace, located, model, tokenizer, flags.set, options)
          : explainTable(await explainStage(workspace, located, model, tokenizer, flags.set, options));
        workspace.progress.say(lines);
      });
    });
}
