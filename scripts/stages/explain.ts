import { join, relative } from 'node:path';
import { updateCurrentRuns } from '../../src/adapters/files/currentRuns.ts';
import { readManifest } from '../../src/adapters/files/runStore.ts';
import { CallerError } from '../../src/domain/errors.ts';
import type { Run } from '../../src/domain/run.ts';
import type { ExplainSummary } from '../../src/interp/explainSummary.ts';
import { PAPER } from '../../src/interp/paperProtocol.ts';
import { chosenModels, openLanguageModels, type LanguageModels } from '../../src/languageModels.ts';
import type { Prices } from '../../src/pipelines/ask/estimateCost.ts';
import { EXPLAIN_DEFAULTS } from '../../src/pipelines/explain.ts';
import { methodIdentity, type MethodChoice } from '../../src/pipelines/explainMethods.ts';
import { modelsNeeded, type MethodName, type ScorerName } from '../../src/pipelines/methodNames.ts';
import { runStage } from '../../src/pipelines/runStage.ts';
import type { FinishedRun, RunIdentity } from '../../src/ports/RunStore.ts';
import type { SubjectModel } from '../../src/ports/SubjectModel.ts';
import type { Tokenizer } from '../../src/ports/Tokenizer.ts';
import type { LocatedModel, Workspace } from '../workspace.ts';
import { featuresPath, openDictionaries, type SetMember } from './dictionarySet.ts';
import { explainRun, type Spent } from './explainRun.ts';

export interface ExplainStageOptions {
  /** The first so many features in index order, or all. */
  readonly features: number | 'all';
  readonly minFragments: number;
  readonly seed: number;
  readonly method: MethodName;
  /** Empty = those that fit the method. */
  readonly scorers: readonly ScorerName[];
  readonly calibrate: boolean;
  /** `paper`: src/interp/paperProtocol.ts, on an analysis of that protocol. */
  readonly protocol: 'paper' | null;
  /** Names of models; null = as the environment says. */
  readonly llm: string | null;
  readonly judge: string | null;
  readonly embeddingModel: string | null;
  /** Of all dictionaries together, those finished earlier included; null = no limit. */
  readonly budget: { readonly tokens: number | null; readonly usd: number | null };
  readonly prices: Prices | null;
  /** Requests at once. */
  readonly concurrency: number;
  /** Most tokens of a description's reply; by default the prompt's own. */
  readonly replyTokens?: number;
  /** For a whole answer of a language model. */
  readonly timeoutMs?: number;
  /** Features explained together; by default 64 for `pattern`, 1 for language models. */
  readonly chunk?: number;
  /** Dictionaries by name instead of those of the set. */
  readonly only?: readonly string[];
  /** A finished run over all features serves one over fewer; the current runs are then left as they are. */
  readonly reuseWider?: boolean;
  /** What the budget's other stages spent so far; this one adds its own. */
  readonly spent?: Spent;
}

export const EXPLAIN_STAGE_DEFAULTS: ExplainStageOptions = {
  features: 'all', minFragments: EXPLAIN_DEFAULTS.minFragments, seed: 0, method: 'pattern', scorers: [], calibrate: false, protocol: null,
  llm: null, judge: null, embeddingModel: null, budget: { tokens: null, usd: null }, prices: null, concurrency: 8,
}; // prettier-ignore

export interface ExplainedDictionary {
  readonly name: string;
  readonly run: Run;
  /** Holds explanations.ndjson. */
  readonly dir: string;
  readonly summary: ExplainSummary;
}

/** What every dictionary's run is made with. */
export interface ExplainContext {
  readonly workspace: Workspace;
  readonly model: SubjectModel;
  readonly tokenizer: Tokenizer;
  readonly models: LanguageModels;
  readonly options: ExplainStageOptions;
  readonly choice: MethodChoice;
}

/** Explains and scores the features of every dictionary of a set (or of those named), one run per dictionary, in order. */
export async function explainStage(workspace: Workspace, located: LocatedModel, model: SubjectModel, tokenizer: Tokenizer, set: string, options: ExplainStageOptions): Promise<readonly ExplainedDictionary[]> {
  const { config } = workspace;
  const members = await openDictionaries(workspace, located.name, set, options.only);
  await checkProtocol(workspace, members, options);
  const choice = choiceOf(options);
  const models = await openLanguageModels(config, chosenModels(modelsNeeded(choice), options, config.languageModels), { concurrency: options.concurrency, ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }), say: (line) => workspace.progress.say(line) });
  try {
    const context: ExplainContext = { workspace, model, tokenizer, models, options, choice };
    const explained: ExplainedDictionary[] = [];
    const spent = options.spent ?? { tokens: 0, usd: 0 };
    for (const member of members) {
      const found = await widerRun(context, member);
      const { run, dir } = found ?? (await explainMember(context, located, member, spent));
      spent.tokens += tokensOf(run);
      spent.usd += usdOf(run);
      explained.push({ name: member.name, run, dir, summary: run.metrics as unknown as ExplainSummary });
    }
    return explained;
  } finally {
    await models.close();
  }
}

export function choiceOf({ method, scorers, calibrate, protocol, seed, replyTokens }: ExplainStageOptions): MethodChoice {
  return { method, scorers, calibrate, seed, temperature: protocol === 'paper' ? PAPER.temperature : null, maxTokens: replyTokens ?? null };
}

async function explainMember(context: ExplainContext, located: LocatedModel, member: SetMember, before: Spent): Promise<FinishedRun> {
  const { config, runs, progress } = context.workspace;
  const identity = identityOf(context, member);
  const makeCurrent = async ({ run, dir }: FinishedRun): Promise<void> => {
    const explainer = (run.params['explainer'] as { name: string }).name;
    await updateCurrentRuns(config.home, located.name, located.source, (current) => {
      const known = current.dictionaries[member.name]!;
      return { ...current, dictionaries: { ...current.dictionaries, [member.name]: { ...known, explain: { ...known.explain, [explainer]: relative(config.home, dir) } } } };
    });
  };
  const finished = await runStage({ store: runs, progress }, identity, (run) => explainRun(context, member, run, { identity, before, makeCurrent }));
  await makeCurrent(finished);
  return finished;
}

/** What a run is known by: not its budget, nor how many requests are made at once. */
function identityOf({ model, options, choice, tokenizer, models }: ExplainContext, { current, weights }: SetMember): RunIdentity {
  const { features, minFragments, protocol, seed } = options;
  const parts = { tokenizer, writer: models.writer, judge: models.judge, embeddings: models.embeddings, badReplies: { record: () => Promise.resolve() } };
  return {
    stage: 'explain',
    params: { features, minFragments, ...(protocol === null ? {} : { protocol }), ...methodIdentity(choice, parts) },
    inputs: { dictionary: weights.config.weightsHash, model: model.info.weightsHash, analyse: current.analyse ?? '' },
    seed,
  };
}

async function widerRun(context: ExplainContext, member: SetMember): Promise<FinishedRun | null> {
  const { options, workspace } = context;
  if (options.reuseWider !== true || options.features === 'all') return null;
  featuresPath(workspace, member);
  const identity = identityOf(context, member);
  const found = await workspace.runs.find({ ...identity, params: { ...identity.params, features: 'all' } });
  if (found !== null) workspace.progress.say(`explain: reused ${found.run.key.slice(0, 16)}, which has all features`);
  return found;
}

/** Throws STALE_OUTPUT where the analysis at hand is not what the protocol reads. */
export async function checkProtocol({ config }: Workspace, members: readonly SetMember[], { protocol }: ExplainStageOptions): Promise<void> {
  if (protocol === null) return;
  for (const { name, current } of members) {
    const made = current.analyse === null ? undefined : (await readManifest(join(config.home, current.analyse))).run.params['protocol'];
    if (made !== protocol) throw new CallerError('STALE_OUTPUT', `dictionary ${name} was not analysed by the paper's protocol: run analyse --protocol paper --text docs.jsonl first`);
  }
}

function tokensOf({ metrics }: Run): number {
  const asked = metrics['asked'] as { promptTokens: number; completionTokens: number } | undefined;
  return asked === undefined ? 0 : asked.promptTokens + asked.completionTokens;
}

function usdOf({ metrics }: Run): number {
  return (metrics['asked'] as { usd: number | null } | undefined)?.usd ?? 0;
}
