import { join } from 'node:path';
import { hookOrder } from '../../src/causal/hookOrder.ts';
import { parseAddress } from '../../src/domain/address.ts';
import { outputHookPointOf } from '../../src/domain/dictionary.ts';
import { CallerError } from '../../src/domain/errors.ts';
import type { ExplainOutcome, FeatureAnalysis } from '../../src/domain/feature.ts';
import type { ModelInfo } from '../../src/domain/model.ts';
import { checkTarget, sourcesOf, type CircuitNode, type CircuitToken } from '../../src/pipelines/circuitTarget.ts';
import { PATTERN_EXPLAINER } from '../../src/pipelines/patternExplainer.ts';
import type { Tokenizer } from '../../src/ports/Tokenizer.ts';
import type { Workspace } from '../workspace.ts';
import { featuresPath, type SetMember } from './dictionarySet.ts';

export interface TargetChoice {
  /** Feature addresses. */
  readonly targets: readonly string[];
  /** Output tokens, as text. */
  readonly tokens?: readonly string[];
  /** So many features of the last dictionary, by score. */
  readonly best: number;
  /** For each of these tokens, the feature of the last dictionary that raises its logit most. */
  readonly promotes: readonly string[];
}

/** Which explanation score ranks targets. */
const RANKED_BY = 'simulation-top-random';

/** Resolves what was asked for. Features chosen for the caller are left out, saying so, where no dictionary lies before them; those named throw. */
export async function chooseTargets(workspace: Workspace, info: ModelInfo, tokenizer: Tokenizer, members: readonly SetMember[], choice: TargetChoice): Promise<{ targets: CircuitNode[]; outputs: CircuitToken[] }> {
  const dictionaries = members.map(({ weights }) => weights);
  const named = choice.targets.map((text): CircuitNode => {
    const { model, dictionary, index } = parseAddress(text);
    if (model !== info.name) throw new CallerError('BAD_INPUT', `target ${text}: expected a feature of model ${info.name}`);
    checkTarget({ dictionary, index }, dictionaries, info);
    return { dictionary, index };
  });
  const outputs = [...new Set(choice.tokens ?? [])].map((token): CircuitToken => ({ id: onlyId(tokenizer, token), token }));
  const last = members.at(-1)!;
  const found: CircuitNode[] = [];
  for (const token of choice.promotes) {
    const index = await strongestPromoter(workspace, last, onlyId(tokenizer, token));
    if (index === null) workspace.progress.say(`circuits: no live feature of ${last.name} has ${JSON.stringify(token)} among the tokens it promotes most`);
    else found.push({ dictionary: last.name, index });
  }
  // With several sets the last dictionary may be one that nobody explained; then the others of its place are asked.
  const ends = members.filter(({ weights }) => hookOrder(outputHookPointOf(weights.config)) === hookOrder(outputHookPointOf(last.weights.config)));
  const ranked = ends.findLast(({ current }) => Object.keys(current.explain).length > 0) ?? last;
  for (const index of await bestScored(workspace, ranked, choice.best)) found.push({ dictionary: ranked.name, index });
  if (named.length + outputs.length + found.length === 0) throw new CallerError('BAD_INPUT', 'no circuit targets: name some with --targets or --tokens, or explain features first and use --best');
  const fed = sourcesOf({ kind: 'feature', weights: last.weights, index: 0 }, dictionaries, 'previous').length > 0;
  if (!fed && found.length > 0) workspace.progress.say(`circuits: nothing lies before ${last.name}, so its features are left out`);
  const targets = [...new Map([...named, ...(fed ? found : [])].map((node) => [`${node.dictionary}/${node.index}`, node])).values()];
  return { targets, outputs };
}

/** Throws BAD_INPUT saying how the text is cut where it is not exactly one token. */
function onlyId(tokenizer: Tokenizer, token: string): number {
  const ids = tokenizer.encode(token);
  if (ids.length === 1) return ids[0]!;
  const cut = [...ids].map((id) => JSON.stringify(tokenizer.token(id))).join(', ');
  throw new CallerError('BAD_INPUT', `${JSON.stringify(token)} is ${ids.length} tokens of this model${ids.length === 0 ? '' : ` (${cut})`}; expected exactly one`);
}

async function strongestPromoter(workspace: Workspace, member: SetMember, id: number): Promise<number | null> {
  let best: { index: number; value: number } | null = null;
  for await (const feature of workspace.artefacts.readRecords<FeatureAnalysis>(featuresPath(workspace, member))) {
    const value = feature.topLogits.find((logit) => logit.id === id)?.value;
    if (value !== undefined && feature.density > 0 && (best === null || value > best.value)) best = { index: feature.index, value };
  }
  return best?.index ?? null;
}

async function bestScored(workspace: Workspace, member: SetMember, count: number): Promise<number[]> {
  if (count === 0) return [];
  const scored: { index: number; value: number }[] = [];
  for await (const { index, scores } of explanationsOf(workspace, member)) {
    const value = scores.find(({ scorer }) => scorer === RANKED_BY)?.value ?? null;
    if (value !== null) scored.push({ index, value });
  }
  return scored.sort((a, b) => b.value - a.value || a.index - b.index).slice(0, count).map(({ index }) => index);
}

/** A dictionary's explanations by the explainer that needs no language model, or else by the first there is; none where it was not explained. */
export async function* explanationsOf({ config, artefacts }: Workspace, { current }: SetMember): AsyncGenerator<Extract<ExplainOutcome, { kind: 'explained' }>['explanation']> {
  const explained = current.explain[PATTERN_EXPLAINER] ?? Object.values(current.explain)[0];
  if (explained === undefined) return;
  for await (const outcome of artefacts.readRecords<ExplainOutcome>(join(config.home, explained, 'explanations.ndjson'))) {
    if (outcome.kind === 'explained') yield outcome.explanation;
  }
}
