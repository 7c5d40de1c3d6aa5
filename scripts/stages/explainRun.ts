import { join } from 'node:path';
import { CallerError } from '../../src/domain/errors.ts';
import type { FeatureAnalysis } from '../../src/domain/feature.ts';
import type { ExplainSummary } from '../../src/interp/explainSummary.ts';
import { PaperTally, type PaperDeviation } from '../../src/interp/paperProtocol.ts';
import { cachedModels } from '../../src/languageModels.ts';
import { Budget } from '../../src/pipelines/ask/budget.ts';
import { backgroundFragments, backgroundTokens } from '../../src/pipelines/backgroundTokens.ts';
import { openBadReplies, type BadReplyFile } from '../../src/pipelines/badReplyFile.ts';
import { EXPLAIN_DEFAULTS, copyFinished, countFinished, explainDictionary, type ExplainPorts } from '../../src/pipelines/explain.ts';
import { openExplainer, openScorers, type MethodParts, type Subject } from '../../src/pipelines/explainMethods.ts';
import { runStage } from '../../src/pipelines/runStage.ts';
import { UnderWay } from '../../src/pipelines/underWay.ts';
import type { Artefacts } from '../../src/ports/Artefacts.ts';
import type { FinishedRun, OpenRun, RunIdentity } from '../../src/ports/RunStore.ts';
import { featuresPath, type SetMember } from './dictionarySet.ts';
import type { ExplainContext } from './explain.ts';
import { explainTable } from './explainTable.ts';

/** Spent by the runs of other dictionaries that one command makes. */
export interface Spent {
  tokens: number;
  usd: number;
}

interface RunOptions {
  readonly identity: RunIdentity;
  readonly before: Spent;
  readonly makeCurrent: (finished: FinishedRun) => Promise<void>;
}

const BAD_REPLIES = 'bad-replies.ndjson';

/**
 * Explains one dictionary in its run's folder, where also lie the resume log, the ledger of what was spent (`ledger.ndjson`) and the
 * replies that made no sense (`bad-replies.ndjson`). When the budget is reached, what was finished becomes a run of its own over so
 * many features, which costs nothing more, and BUDGET_REACHED is thrown.
 * @returns the metrics of the run.
 */
export async function explainRun(context: ExplainContext, member: SetMember, run: OpenRun, { identity, before, makeCurrent }: RunOptions): Promise<Readonly<Record<string, unknown>>> {
  const { workspace, models, options, choice } = context;
  const { artefacts, progress, runs } = workspace;
  const path = featuresPath(workspace, member);
  const subject = subjectOf(context, member);
  const budget = models.cache === null ? null : await openBudget(context, before, run.dir);
  const underWay = new UnderWay();
  const finished = await countFinished(artefacts, run.dir);
  const badReplies = await openBadReplies(artefacts, join(run.dir, BAD_REPLIES), (feature) => feature < finished);
  const parts: MethodParts = { tokenizer: context.tokenizer, badReplies, ...cachedModels(models, underWay, budget ?? undefined) };
  const explainer = await openExplainer(choice, parts, subject);
  const scorers = await openScorers(choice, parts, subject);
  const ports: ExplainPorts = { artefacts, progress, explainer, scorers };
  const input = { label: member.name, featuresPath: path, nFeatures: member.weights.config.nFeatures };
  const chunk = options.chunk ?? (models.writer === null ? EXPLAIN_DEFAULTS.chunk : 1);
  const inFlight = models.writer === null ? 2 : Math.max(2, options.concurrency);
  const work = async (dir: string, features: number | 'all', bad: BadReplyFile): Promise<Readonly<Record<string, unknown>>> => {
    const { summary, hash, seconds, featuresPerMinute } = await explainDictionary(ports, { ...input, dir }, { features, minFragments: options.minFragments, chunk, inFlight });
    const asked = budget === null ? {} : { asked: budget.totals(), badReplies: bad.counts() };
    // Of the features done by this process, a resumed one's others not counted.
    const readings = scorers.flatMap(({ judge, counts }) => (counts === undefined ? [] : [{ judge, ...counts }]));
    const protocol = options.protocol === null ? {} : { protocol: { name: options.protocol, ...(await deviation(artefacts, path, features)) } };
    return { ...summary, hash, seconds, featuresPerMinute, ...(explainer.cost === undefined ? {} : { cost: explainer.cost }), ...asked, ...(readings.length === 0 ? {} : { readings }), ...protocol };
  };
  try {
    return await work(run.dir, options.features, badReplies);
  } catch (error) {
    await underWay.settled();
    if (!(error instanceof CallerError && error.code === 'BUDGET_REACHED')) throw error;
    const count = await countFinished(artefacts, run.dir);
    if (count === 0) throw new CallerError('BUDGET_REACHED', `${member.name}: ${error.message}. No feature was finished yet`, { cause: error });
    const part = await runStage({ store: runs, progress }, { ...identity, params: { ...identity.params, features: count } }, async ({ dir }) => {
      await copyFinished(artefacts, run.dir, dir, count);
      await artefacts.writeRecords(join(dir, BAD_REPLIES), artefacts.readRecords(join(run.dir, BAD_REPLIES), { optional: true }));
      return work(dir, count, await openBadReplies(artefacts, join(dir, BAD_REPLIES), (feature) => feature < count));
    });
    await makeCurrent(part);
    progress.say(explainTable([{ name: member.name, ...part, summary: part.run.metrics as unknown as ExplainSummary }]));
    const total = options.features === 'all' ? input.nFeatures : Math.min(options.features, input.nFeatures);
    throw new CallerError('BUDGET_REACHED', `${member.name}: ${error.message}. The first ${count} of ${total} features are finished and can be loaded`, { cause: error });
  } finally {
    await underWay.settled();
  }
}

/** Model and analysed text of one dictionary. */
export function subjectOf({ workspace, model, tokenizer }: Pick<ExplainContext, 'workspace' | 'model' | 'tokenizer'>, member: SetMember): Subject {
  const { artefacts } = workspace;
  const path = featuresPath(workspace, member);
  return { model, tokenizer, dictionary: member.weights, tokens: () => backgroundTokens(artefacts, path), fragments: () => backgroundFragments(artefacts, path) };
}

async function openBudget({ workspace, options, models }: ExplainContext, before: Spent, dir: string): Promise<Budget> {
  const left = (limit: number | null, spent: number, unit: string): number | null => {
    if (limit === null) return null;
    if (spent >= limit) throw new CallerError('BUDGET_REACHED', `the budget of ${limit} ${unit} went into the dictionaries before this one; raise it and run again`);
    return limit - spent;
  };
  const { tokens, usd } = options.budget;
  const budget = await Budget.open({
    tokens: left(tokens, before.tokens, 'tokens'),
    usd: left(usd, before.usd, 'USD'),
    prices: options.prices,
    ledger: { artefacts: workspace.artefacts, path: join(dir, 'ledger.ndjson') },
  });
  models.payer.budget = budget;
  for (const usage of models.payer.opening.splice(0)) {
    if (usage.promptTokens + usage.completionTokens > 0) await (await budget.reserve(usage)).settle(usage);
  }
  return budget;
}

async function deviation(artefacts: Artefacts, path: string, features: number | 'all'): Promise<PaperDeviation> {
  const tally = new PaperTally();
  let count = 0;
  for await (const feature of artefacts.readRecords<FeatureAnalysis>(path)) {
    if (count++ === features) break;
    tally.add(feature);
  }
  return tally.result();
}
