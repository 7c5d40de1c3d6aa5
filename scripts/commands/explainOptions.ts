import { Option, type Command } from 'commander';
import { PAPER } from '../../src/interp/paperProtocol.ts';
import { EXPLAIN_DEFAULTS } from '../../src/pipelines/explain.ts';
import { METHODS, SCORERS, type MethodName, type ScorerName } from '../../src/pipelines/methodNames.ts';
import { CallerError } from '../../src/domain/errors.ts';
import { count, number, protocolOption, scorerList } from '../options.ts';
import type { ExplainStageOptions } from '../stages/explain.ts';

/** What every command takes that explains features. */
export interface ExplainFlags {
  readonly explainer?: MethodName;
  readonly scorers?: readonly ScorerName[];
  readonly calibrate: boolean;
  readonly llm?: string;
  readonly judge?: string;
  readonly embeddingModel?: string;
  readonly protocol?: 'paper';
  readonly features?: number;
  readonly minFragments?: number;
  readonly chunk?: number;
  readonly budgetTokens?: number;
  readonly budgetUsd?: number;
  readonly priceIn?: number;
  readonly priceOut?: number;
  readonly concurrency: number;
  readonly timeout?: number;
  readonly replyTokens?: number;
}

export function withExplainOptions(command: Command): Command {
  return command
    .addOption(new Option('--explainer <method>', 'pattern needs no language model; the others ask one (default: pattern)').choices(METHODS))
    .option('--scorers <list>', `how descriptions are judged, some of ${SCORERS.join(',')} (default: simulation by the pattern itself for pattern; detection,fuzzing for the others)`, scorerList)
    .option('--calibrate', 'also scores of simulations calibrated on fragments that are not scored', false)
    .option('--llm <name>', 'language model that writes: a model of the server at OPENAI_BASE_URL, or local:FOLDER (default: EXPLAIN_MODEL)')
    .option('--judge <name>', 'language model that judges (default: JUDGE_MODEL, else the one that writes)')
    .option('--embedding-model <name>', 'for the embedding scorer (default: EMBEDDING_MODEL)')
    .addOption(protocolOption(`paper: the first ${PAPER.features} features, token-act-pair at temperature ${PAPER.temperature} unless --explainer pattern, simulation by log-probabilities, on an analysis made with --protocol paper`))
    .option('--features <count>', `first so many features by index (default: all; with --protocol paper ${PAPER.features})`, count())
    .option('--min-fragments <count>', `fragments with varying activation a feature needs, 1 to 20; others are skipped and counted (default: ${EXPLAIN_DEFAULTS.minFragments})`, count())
    .option('--chunk <features>', `features explained together: what a killed run does again (default: ${EXPLAIN_DEFAULTS.chunk} for pattern, else 1)`, count())
    .option('--budget, --budget-tokens <count>', 'tokens (prompts and replies) that language models may take, e.g. 2M; stops before it is passed, with exit status 4', count())
    .option('--budget-usd <amount>', 'money that they may cost; needs --price-in and --price-out', number(0, 1e9))
    .option('--price-in <usd>', 'US dollars per million tokens of prompts', number(0, 1e6))
    .option('--price-out <usd>', 'US dollars per million tokens of replies', number(0, 1e6))
    .option('--concurrency <requests>', 'requests to each language model at once', count(), 8)
    .option('--reply-tokens <count>', 'most tokens of a description (default: the prompt\'s own); more for models that write their thoughts first', count())
    .option('--timeout <seconds>', 'for a whole answer of a language model; a request that took longer is sent again (default: 120)', number(0.1, 300));
}

/** The flags as the stage takes them; throws BAD_INPUT where they contradict each other. */
export function explainChoiceOf(flags: ExplainFlags & { readonly seed: number }): ExplainStageOptions {
  const { protocol, budgetTokens, budgetUsd, priceIn, priceOut } = flags;
  const paper = protocol === 'paper';
  if (budgetUsd !== undefined && (priceIn === undefined || priceOut === undefined)) {
    throw new CallerError('BAD_INPUT', `--budget-usd ${budgetUsd}: what a token costs is not known; give --price-in and --price-out (US dollars per million tokens), or --budget-tokens instead`);
  }
  if ((priceIn === undefined) !== (priceOut === undefined)) throw new CallerError('BAD_INPUT', `expected both --price-in and --price-out, found only ${priceIn === undefined ? '--price-out' : '--price-in'}`);
  if (paper) {
    if (flags.scorers !== undefined && flags.scorers.join() !== 'simulation') throw new CallerError('BAD_INPUT', `--protocol paper scores by simulation, found --scorers ${flags.scorers.join(',')}; leave --scorers out`);
    if (flags.calibrate) throw new CallerError('BAD_INPUT', '--protocol paper does not calibrate: leave --calibrate out');
    if (flags.minFragments !== undefined && flags.minFragments !== PAPER.minFragments) throw new CallerError('BAD_INPUT', `--protocol paper needs ${PAPER.minFragments} fragments: leave --min-fragments out`);
  }
  const method = flags.explainer ?? (paper ? 'token-act-pair' : 'pattern');
  if (paper && method !== 'pattern' && method !== 'token-act-pair') throw new CallerError('BAD_INPUT', `--protocol paper explains with token-act-pair (or pattern, without a language model), found --explainer ${method}`);
  return {
    features: flags.features ?? (paper ? PAPER.features : 'all'),
    minFragments: flags.minFragments ?? EXPLAIN_DEFAULTS.minFragments,
    seed: flags.seed,
    method,
    scorers: flags.scorers ?? (paper ? ['simulation'] : []),
    calibrate: flags.calibrate,
    protocol: protocol ?? null,
    llm: flags.llm ?? null,
    judge: flags.judge ?? null,
    embeddingModel: flags.embeddingModel ?? null,
    concurrency: flags.concurrency,
    budget: { tokens: budgetTokens ?? null, usd: budgetUsd ?? null },
    prices: priceIn === undefined || priceOut === undefined ? null : { promptPerMillion: priceIn, completionPerMillion: priceOut },
    ...(flags.replyTokens === undefined ? {} : { replyTokens: flags.replyTokens }),
    ...(flags.timeout === undefined ? {} : { timeoutMs: 1000 * flags.timeout }),
    ...(flags.chunk === undefined ? {} : { chunk: flags.chunk }),
  };
}
