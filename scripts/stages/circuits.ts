import { join, relative } from 'node:path';
import { updateCurrentRuns } from '../../src/adapters/files/currentRuns.ts';
import { parseAddress } from '../../src/domain/address.ts';
import { CallerError } from '../../src/domain/errors.ts';
import type { ExplainOutcome, FeatureAnalysis } from '../../src/domain/feature.ts';
import { circuits, type CircuitNode, type CircuitOptions } from '../../src/pipelines/circuits.ts';
import { PATTERN_EXPLAINER } from '../../src/pipelines/patternExplainer.ts';
import { runStage, type StageResult } from '../../src/pipelines/runStage.ts';
import type { SubjectModel } from '../../src/ports/SubjectModel.ts';
import type { Tokenizer } from '../../src/ports/Tokenizer.ts';
import type { LocatedModel, Workspace } from '../workspace.ts';
import { featuresPath, openSet, type SetMember } from './dictionarySet.ts';
import { withTokens } from './tokens.ts';

export interface TargetChoice {
  /** Feature addresses. */
  readonly targets: readonly string[];
  /** So many features of the last dictionary, by score. */
  readonly best: number;
  /** For each of these tokens, the feature of the last dictionary that raises its logit most. */
  readonly promotes: readonly string[];
}

/** Which explanation score ranks targets. */
const RANKED_BY = 'simulation-top-random';

/** Measures by ablation what feeds the chosen features, through all earlier dictionaries of the set. */
export async function circuitsStage(
  workspace: Workspace,
  located: LocatedModel,
  model: SubjectModel,
  tokenizer: Tokenizer,
  set: string,
  choice: TargetChoice,
  options: CircuitOptions,
): Promise<StageResult> {
  const { config, runs, artefacts, progress } = workspace;
  const members = await openSet(workspace, located.name, set);
  const features = new Map(members.map((member) => [member.name, featuresPath(workspace, member)]));
  const targets = await chooseTargets(workspace, located, tokenizer, members, choice);
  const inputs = Object.fromEntries(members.flatMap(({ name, weights, current }) => [[name, weights.config.weightsHash], [`analysis of ${name}`, current.analyse!]]));
  return withTokens(join(config.home, members[0]!.current.analysedTokens ?? members[0]!.current.tokens), async (tokens) => {
    const result = await runStage(
      { store: runs, progress },
      { stage: 'circuits', params: { ...options, set, targets: targets.map(({ dictionary, index }) => `${located.name}/${dictionary}/${index}`) }, inputs: { ...inputs, model: model.info.weightsHash, tokens: tokens.hash }, seed: 0 },
      async (run) => {
        const found = await circuits({ model, dictionaries: members.map(({ weights }) => weights), features, tokens, targets, artefacts, progress, dir: run.dir, options });
        return { edges: found.edges.length, nodes: found.nodes.length, ablations: found.ablations, seconds: found.seconds, hash: found.hash, file: found.file };
      },
    );
    await updateCurrentRuns(config.home, located.name, located.source, (current) => ({ ...current, circuits: { ...current.circuits, [set]: relative(config.home, result.dir) } }));
    return result;
  });
}

async function chooseTargets(workspace: Workspace, located: LocatedModel, tokenizer: Tokenizer, members: readonly SetMember[], choice: TargetChoice): Promise<CircuitNode[]> {
  const last = members.at(-1)!;
  const chosen: CircuitNode[] = choice.targets.map((text) => {
    const { model, dictionary, index } = parseAddress(text);
    if (model !== located.name) throw new CallerError('BAD_INPUT', `target ${text}: expected a feature of model ${located.name}`);
    return { dictionary, index };
  });
  for (const token of choice.promotes) {
    const index = await strongestPromoter(workspace, last, promotedId(tokenizer, token));
    if (index === null) workspace.progress.say(`circuits: no live feature of ${last.name} has ${JSON.stringify(token)} among the tokens it promotes most`);
    else chosen.push({ dictionary: last.name, index });
  }
  for (const index of await bestScored(workspace, last, choice.best)) chosen.push({ dictionary: last.name, index });
  const targets = [...new Map(chosen.map((node) => [`${node.dictionary}/${node.index}`, node])).values()];
  if (targets.length === 0) throw new CallerError('BAD_INPUT', 'no circuit targets: name some with --targets, or explain features first and use --best');
  return targets;
}

function promotedId(tokenizer: Tokenizer, token: string): number {
  const ids = tokenizer.encode(token);
  if (ids.length !== 1) throw new CallerError('BAD_INPUT', `${JSON.stringify(token)} is ${ids.length} tokens of this model; expected exactly one`);
  return ids[0]!;
}

async function strongestPromoter(workspace: Workspace, member: SetMember, id: number): Promise<number | null> {
  let best: { index: number; value: number } | null = null;
  for await (const feature of workspace.artefacts.readRecords<FeatureAnalysis>(featuresPath(workspace, member))) {
    const value = feature.topLogits.find((logit) => logit.id === id)?.value;
    if (value !== undefined && feature.density > 0 && (best === null || value > best.value)) best = { index: feature.index, value };
  }
  return best?.index ?? null;
}

async function bestScored({ config, artefacts }: Workspace, { current }: SetMember, count: number): Promise<number[]> {
  // The explainer that needs no language model before any other.
  const explained = current.explain[PATTERN_EXPLAINER] ?? Object.values(current.explain)[0];
  if (explained === undefined || count === 0) return [];
  const scored: { index: number; value: number }[] = [];
  for await (const outcome of artefacts.readRecords<ExplainOutcome>(join(config.home, explained, 'explanations.ndjson'))) {
    if (outcome.kind !== 'explained') continue;
    const value = outcome.explanation.scores.find(({ scorer }) => scorer === RANKED_BY)?.value ?? null;
    if (value !== null) scored.push({ index: outcome.explanation.index, value });
  }
  return scored.sort((a, b) => b.value - a.value || a.index - b.index).slice(0, count).map(({ index }) => index);
}
