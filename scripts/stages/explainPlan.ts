import { chosenModels } from '../../src/languageModels.ts';
import { costOf, type TokenCount } from '../../src/pipelines/ask/estimateCost.ts';
import { openScorers, planningExplainer, type MethodParts } from '../../src/pipelines/explainMethods.ts';
import { planExplain, type ExplainPlan } from '../../src/pipelines/explainPlan.ts';
import { modelsNeeded } from '../../src/pipelines/methodNames.ts';
import type { ChatModel } from '../../src/ports/ChatModel.ts';
import type { SubjectModel } from '../../src/ports/SubjectModel.ts';
import type { Tokenizer } from '../../src/ports/Tokenizer.ts';
import { table } from '../table.ts';
import type { LocatedModel, Workspace } from '../workspace.ts';
import { featuresPath, openDictionaries } from './dictionarySet.ts';
import { checkProtocol, choiceOf, type ExplainStageOptions } from './explain.ts';
import { subjectOf } from './explainRun.ts';

/** Says what explaining would ask language models for and cost. Sends nothing, makes no run; replies in the cache are not looked up. */
export async function explainDryRun(workspace: Workspace, located: LocatedModel, model: SubjectModel, tokenizer: Tokenizer, set: string, options: ExplainStageOptions): Promise<string> {
  const choice = choiceOf(options);
  const names = chosenModels(modelsNeeded(choice), options, workspace.config.languageModels);
  const parts: MethodParts = {
    tokenizer,
    writer: names.writer === null ? null : unasked(names.writer),
    judge: names.judge === null ? null : unasked(names.judge),
    embeddings: names.embeddings === null ? null : { name: names.embeddings, identity: {}, embed: () => Promise.reject(new Error('a dry run sends nothing')) },
    badReplies: { record: () => Promise.resolve() },
  };
  const members = await openDictionaries(workspace, located.name, set, options.only);
  await checkProtocol(workspace, members, options);
  const plans: { name: string; plan: ExplainPlan }[] = [];
  for (const member of members) {
    const subject = subjectOf({ workspace, model, tokenizer }, member);
    const ports = { explainer: planningExplainer(choice, parts), scorers: await openScorers(choice, parts, subject) };
    plans.push({ name: member.name, plan: await planExplain(workspace.artefacts, ports, featuresPath(workspace, member), options) });
  }
  return [describe(plans, options), ...(names.embeddings === null ? [] : ['embedding requests are not in the sum'])].join('\n');
}

/** Can do everything, asks nothing. */
function unasked(name: string): ChatModel {
  const never = (): Promise<never> => Promise.reject(new Error('a dry run sends nothing'));
  return { name, identity: {}, abilities: { promptLogprobs: true, replyLogprobs: true }, chat: never, readPrompt: never, close: () => Promise.resolve() };
}

function describe(plans: readonly { name: string; plan: ExplainPlan }[], { prices, budget }: ExplainStageOptions): string {
  const sum = (of: (plan: ExplainPlan) => number): number => plans.reduce((all, { plan }) => all + of(plan), 0);
  const whole = (n: number): string => n.toLocaleString('en');
  const rows = plans.map(({ name, plan }) => [name, whole(plan.features), whole(plan.eligible), whole(plan.requests), whole(plan.promptTokens.expected), whole(plan.replyTokens.expected)]);
  const tokens = (kind: 'expected' | 'worst'): TokenCount => ({ promptTokens: sum((plan) => plan.promptTokens[kind]), completionTokens: sum((plan) => plan.replyTokens[kind]) });
  const costLine = (label: string, count: TokenCount): string => {
    const usd = costOf(count, prices);
    return `${label}: ${whole(count.promptTokens + count.completionTokens)} tokens (${whole(count.promptTokens)} of prompts, ${whole(count.completionTokens)} of replies)${usd === null ? '' : `, $${usd.toFixed(2)}`}`;
  };
  const scaled = plans.filter(({ plan }) => plan.sampled < plan.eligible).map(({ name, plan }) => `${name}: requests of ${plan.sampled} of ${whole(plan.eligible)} features were built and scaled`);
  const limits = [...(budget.tokens === null ? [] : [`${whole(budget.tokens)} tokens`]), ...(budget.usd === null ? [] : [`$${budget.usd}`])];
  return [
    table(['dictionary', 'features', 'with enough text', 'requests', 'prompt tokens', 'reply tokens'], rows),
    ...scaled,
    costLine(`expected, for ${whole(sum((plan) => plan.requests))} requests (four bytes a token)`, tokens('expected')),
    costLine('at most, without repetitions (one byte a token, longest replies)', tokens('worst')),
    ...(prices === null ? ['no prices given: --price-in and --price-out say what it costs'] : []),
    ...(limits.length === 0 ? [] : [`the budget is ${limits.join(' and ')}: a run stops before it is passed`]),
    'dry run: nothing was sent; what the reply cache holds already is not subtracted',
  ].join('\n');
}
