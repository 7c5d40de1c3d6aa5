import { InvalidArgumentError, Option, type Command } from 'commander';
import { CIRCUIT_DEFAULTS, type CircuitOptions } from '../../src/pipelines/circuits.ts';
import { FAITHFULNESS_DEFAULTS, type FaithfulnessChoice } from '../../src/pipelines/circuitsTested.ts';
import { count, number, seedOption } from '../options.ts';
import { circuitsStage, type TargetChoice } from '../stages/circuits.ts';
import { usingModel, withModelOptions, type ModelOptions } from './shared.ts';

interface Flags extends ModelOptions, Omit<TargetChoice, 'best'>, Omit<CircuitOptions, 'batchTokens'> {
  readonly best?: number;
  readonly sets: readonly string[];
  readonly ablateTo: FaithfulnessChoice['ablateTo'];
  readonly errorTerms: FaithfulnessChoice['error'];
}

export function circuitsCommand(program: Command): void {
  const D = CIRCUIT_DEFAULTS;
  withModelOptions(program.command('circuits'))
    .description('Measure by ablation which earlier features feed chosen features and output tokens, and how faithful the circuits are')
    .addOption(new Option('--set, --sets <name...>', 'sets of dictionaries whose features may be in a circuit: residual streams, branches, transcoders; dictionaries are named {layer}-{set}').default(['tied-r4']))
    .option('--targets <address...>', 'features to explain, {model}/{dictionary}/{index}', [])
    .option('--tokens <token...>', 'output tokens to explain, e.g. ")": what raises their probability where they come next', [])
    .option('--best <count>', 'also so many features of the last dictionary with the best scores (default: 4, or none where targets are named)', count(0))
    .option('--promotes <token...>', 'also the feature of the last dictionary that raises this token most, e.g. ")"', [])
    .addOption(new Option('--sources <which>', 'sources of a feature: dictionaries that write at the nearest earlier hook point (the paper), or at every earlier one').choices(['previous', 'all']).default(D.sources))
    .option('--contexts <count>', 'contexts measured per feature or token', count(), D.contexts)
    .addOption(new Option('--contexts-from <where>', "a feature's strongest exemplars (as the paper's figure), or places drawn where it reaches half its greatest activation").choices(['top', 'sampled']).default(D.contextsFrom))
    .option('--threshold <effect>', 'leave out edges of smaller mean relative drop (tokens: nats)', number(0, 1), D.threshold)
    .option('--context-tokens <count>', 'longest context in tokens (the paper took 30)', count(2), D.contextTokens)
    .option('--candidates <count|all>', 'active sources ablated per target and dictionary, likeliest first; all = every active one (the paper)', (text) => (text === 'all' ? null : count()(text)), D.candidates)
    .addOption(new Option('--propose <by>', 'who says which sources are likely').choices(['gradient', 'heuristic']).default(D.propose))
    .option('--keep <count>', 'edges kept per target, strongest first', count(), D.keep)
    .option('--follow <counts>', 'sources followed further by depth, e.g. 3,1: three of each target, then one', counts, D.follow)
    .option('--depth <count|all>', 'steps from a target at most', (text) => (text === 'all' ? null : count()(text)), D.depth)
    .addOption(new Option('--ablate-to <value...>', 'faithfulness: features outside the circuit become 0, or their mean over the text').choices(['mean', 'zero']).default(FAITHFULNESS_DEFAULTS.ablateTo))
    .addOption(new Option('--error-terms <what...>', 'faithfulness: what the dictionaries do not explain stays, or goes too').choices(['keep', 'remove']).default(FAITHFULNESS_DEFAULTS.error))
    .addOption(seedOption())
    .action(async (flags: Flags) => {
      const { targets, tokens = [], promotes, seed, contexts, contextsFrom, threshold, keep, follow, depth, sources, contextTokens, candidates, propose } = flags;
      const best = flags.best ?? (targets.length + tokens.length + promotes.length > 0 ? 0 : 4);
      await usingModel(flags, async ({ workspace, located, model, tokenizer }) => {
        await circuitsStage(workspace, located, model, tokenizer, flags.sets, { targets, tokens, best, promotes }, {
          contexts, contextsFrom, seed, threshold, keep, follow, depth, sources, contextTokens, candidates, propose,
          batchTokens: D.batchTokens,
          faithfulness: { ablateTo: flags.ablateTo, error: flags.errorTerms },
        });
      });
    });
}

/** Whole numbers parted by commas. */
function counts(text: string): number[] {
  const found = text.split(',').map((part) => (/^\d{1,4}$/.test(part.trim()) ? Number(part) : Number.NaN));
  if (found.some(Number.isNaN)) throw new InvalidArgumentError('expected whole numbers parted by commas, e.g. 3,1.');
  return found;
}
