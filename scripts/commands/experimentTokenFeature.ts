import { Option, type Command } from 'commander';
import { htmlTokenFeatureReport } from '../../src/adapters/report/tokenFeatureReport.ts';
import { CallerError } from '../../src/domain/errors.ts';
import { PATTERN_RANKINGS, TOKEN_FEATURE_DEFAULTS, type PatternRanking } from '../../src/pipelines/tokenFeature.ts';
import type { PatternChoice } from '../../src/pipelines/tokenPattern.ts';
import { count, number, seedOption, setOption } from '../options.ts';
import { fileText } from '../stages/textSources.ts';
import { tokenFeatureStage } from '../stages/tokenFeature.ts';
import { tokenFeatureTables } from '../stages/tokenFeatureTables.ts';
import { usingModel, withModelOptions, type ModelOptions } from './shared.ts';

interface TokenFeatureFlags extends ModelOptions {
  readonly set: string;
  readonly dictionaries: string[];
  readonly feature: string[];
  readonly tokens?: string[];
  readonly pattern?: string;
  readonly over: 'token' | 'text';
  readonly text?: string[];
  readonly context: number;
  readonly tokensRead: number;
  readonly effectTokens: number;
  readonly rank: PatternRanking;
  readonly best: number;
  readonly bins: number;
  readonly topTokens: number;
  readonly threshold: number;
  readonly effectThreshold: number;
  readonly basisRank: number;
  readonly scale: 'linear' | 'log';
  readonly seed: number;
  readonly out?: string;
}

export function experimentTokenFeatureCommand(group: Command): void {
  const D = TOKEN_FEATURE_DEFAULTS;
  withModelOptions(group.command('token-feature'))
    .description('Which features mean a token or pattern, how purely, and what ablating them does to the next token (section 4 of the paper): tables and a figure')
    .addOption(setOption())
    .option('--dictionaries <name...>', 'dictionaries to look in, instead of a set', [])
    .option('--feature <address...>', 'features to study, {model}/{dictionary}/{index} (default: the best of the pattern)', [])
    .option('--tokens <text...>', `tokens to look for, spelt exactly, e.g. "'" " ("`)
    .option('--pattern <regex>', String.raw`regular expression to look for, e.g. "\((?=[A-Z])"`)
    .addOption(new Option('--over <what>', "--pattern matches each token's own text, or the running text (then the token is meant that ends a match)").choices(['token', 'text']).default('token'))
    .option('--text <file...>', 'text to read (default: the one that was analysed, rows that training left)')
    .option('--context <tokens>', 'tokens per row of --text', count(2), 128)
    .option('--tokens-read <count>', 'tokens read at most, in rows drawn at random', count(), 200_000)
    .option('--effect-tokens <count>', 'tokens of the rows in which a feature is ablated', count(), D.effectTokens)
    .addOption(new Option('--rank <by>', 'what ranks features: F1 at the best threshold, F1 at --threshold, mean activation on the pattern').choices(PATTERN_RANKINGS).default(D.rank))
    .option('--best <count>', 'features of the ranking to study when none are given', count(), D.best)
    .option('--threshold <activation>', 'active is an activation above this', number(0, 1e9), D.threshold)
    .option('--effect-threshold <nats>', 'effects beyond this are counted and drawn (the paper: 0.1)', number(0, 100), D.effectThreshold)
    .option('--bins <count>', 'bins of a histogram, from 0 to the largest value', count(), D.bins)
    .option('--top-tokens <count>', 'tokens told apart in a histogram (at most 7)', count(), D.topTokens)
    .option('--basis-rank <n>', 'compare with the dimension that the feature reads n-th most (the paper: 10)', count(), D.basisRank)
    .addOption(new Option('--scale <scale>', 'counts of the histograms').choices(['linear', 'log']).default('linear'))
    .addOption(seedOption())
    .option('--out <file>', "the figure (default: in the run's folder, where the JSON is too)")
    .action(async (options: TokenFeatureFlags) => {
      const { dictionaries, feature: features, text, out } = options;
      const pattern = patternOf(options);
      if (options.topTokens > 7) throw new CallerError('BAD_INPUT', `--top-tokens ${options.topTokens}: expected at most 7, so that colours can be told apart`);
      if (pattern === null && features.length === 0) throw new CallerError('BAD_INPUT', 'nothing to study: give --feature, --tokens or --pattern');
      await usingModel(options, async ({ workspace, located, model, tokenizer }) => {
        const { effectTokens, rank, best, bins, topTokens, threshold, effectThreshold, basisRank } = options;
        const result = await tokenFeatureStage(workspace, located, model, tokenizer, { ...options, dictionaries, features, pattern, text: text === undefined ? null : fileText(text) }, { ...D, effectTokens, rank, best, bins, topTokens, threshold, effectThreshold, basisRank });
        if (out !== undefined) await htmlTokenFeatureReport().write(out, result.found, options.scale);
        console.log(`${tokenFeatureTables(result.found)}\n\nfigure: ${out ?? result.figures[options.scale]}\neverything measured: ${result.dir}`);
      });
    });
}

function patternOf({ tokens, pattern, over }: TokenFeatureFlags): PatternChoice | null {
  if (tokens !== undefined && pattern !== undefined) throw new CallerError('BAD_INPUT', '--tokens and --pattern: expected one of them');
  if (tokens !== undefined) return { kind: 'tokens', tokens };
  return pattern === undefined ? null : { kind: 'regex', source: pattern, over };
}
