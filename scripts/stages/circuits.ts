import { join, relative } from 'node:path';
import { readCurrentRuns, updateCurrentRuns } from '../../src/adapters/files/currentRuns.ts';
import { readManifest } from '../../src/adapters/files/runStore.ts';
import { hookOrder } from '../../src/causal/hookOrder.ts';
import { outputHookPointOf } from '../../src/domain/dictionary.ts';
import { CallerError } from '../../src/domain/errors.ts';
import { gradientAttribution } from '../../src/pipelines/circuitAttribution.ts';
import { circuits, type CircuitOptions, type CircuitsResult } from '../../src/pipelines/circuits.ts';
import { circuitsFaithfulness, type FaithfulnessChoice, type TargetFaithfulness } from '../../src/pipelines/circuitsTested.ts';
import { runStage, type StageResult } from '../../src/pipelines/runStage.ts';
import type { GradientModel } from '../../src/ports/GradientModel.ts';
import type { Tokenizer } from '../../src/ports/Tokenizer.ts';
import type { LocatedModel, Workspace } from '../workspace.ts';
import { chooseTargets, type TargetChoice } from './circuitTargets.ts';
import { sayCircuits } from './circuitText.ts';
import { featuresPath, openSet, type SetMember } from './dictionarySet.ts';
import { withTokens } from './tokens.ts';

export type { TargetChoice } from './circuitTargets.ts';

export interface CircuitsStageOptions extends CircuitOptions {
  readonly faithfulness: FaithfulnessChoice;
}

/** Measures by ablation what feeds the chosen features and tokens, through all earlier dictionaries of the sets, and tests the circuits found. */
export async function circuitsStage(
  workspace: Workspace,
  located: LocatedModel,
  model: GradientModel,
  tokenizer: Tokenizer,
  sets: readonly string[],
  choice: TargetChoice,
  { faithfulness, ...options }: CircuitsStageOptions,
): Promise<StageResult> {
  const { config, runs, artefacts, progress } = workspace;
  const distinct = [...new Set(sets)];
  const opened = await Promise.all(distinct.map((set) => openSet(workspace, located.name, set)));
  const members = opened.flat().sort((a, b) => hookOrder(outputHookPointOf(a.weights.config)) - hookOrder(outputHookPointOf(b.weights.config)));
  const features = new Map(members.map((member) => [member.name, featuresPath(workspace, member)]));
  const { targets, outputs } = await chooseTargets(workspace, model.info, tokenizer, members, choice);
  const inputs = Object.fromEntries(members.flatMap(({ name, weights, current }) => [[name, weights.config.weightsHash], [`analysis of ${name}`, current.analyse!]]));
  const named = { targets: targets.map(({ dictionary, index }) => `${located.name}/${dictionary}/${index}`), tokens: outputs.map(({ token }) => token) };
  return withTokens(join(config.home, oneText(members)), async (tokens) => {
    const rows = { from: members[0]!.current.analysedTokens === undefined ? Math.max(...members.map(({ current }) => current.trainRows)) : 0, to: tokens.rows };
    const result = await runStage(
      { store: runs, progress },
      { stage: 'circuits', params: { ...options, faithfulness, set: distinct.join('+'), ...named }, inputs: { ...inputs, model: model.info.weightsHash, tokens: tokens.hash }, seed: options.seed },
      async (run) => {
        const attribute = gradientAttribution(model, options.batchTokens);
        const input = { model, dictionaries: members.map(({ weights }) => weights), features, tokens, rows, targets, outputs, artefacts, progress, dir: run.dir, options, attribute };
        const found = await circuits(input);
        const tested = await circuitsFaithfulness(input, found, faithfulness);
        return { ...countsOf(found), faithfulness: tested };
      },
    );
    await addCurrentCircuits(workspace, located, distinct.join('+'), relative(config.home, result.dir), inputs);
    await sayCircuits(workspace, located.name, members, result.dir, named, result.run.metrics['faithfulness'] as readonly TargetFaithfulness[]);
    return result;
  });
}

/** Circuits of other targets add up, in the order in which they were measured; runs on what the dictionaries were before are dropped. */
async function addCurrentCircuits({ config }: Workspace, located: LocatedModel, key: string, folder: string, inputs: Readonly<Record<string, string>>): Promise<void> {
  const before = (await readCurrentRuns(config.home, located.name))?.circuits[key] ?? [];
  const fresh: string[] = [];
  for (const earlier of before) {
    const { run } = await readManifest(join(config.home, earlier));
    if (Object.entries(inputs).every(([name, hash]) => run.inputs[name] === hash)) fresh.push(earlier);
  }
  await updateCurrentRuns(config.home, located.name, located.source, (current) => ({ ...current, circuits: { ...current.circuits, [key]: [...new Set([...fresh, folder])] } }));
}

function countsOf({ edges, outputEdges, nodes, tokens, ablations, seconds, hash, file, outputHash, outputFile }: CircuitsResult): Record<string, unknown> {
  return { edges: edges.length, outputEdges: outputEdges.length, nodes: nodes.length, tokens: tokens.length, ablations, seconds, hash, file, outputHash, outputFile };
}

/** The folder of the token rows that every member's analysis read: contexts are rows of one text. */
function oneText(members: readonly SetMember[]): string {
  const texts = new Map(members.map(({ name, current }) => [current.analysedTokens ?? current.tokens, name]));
  if (texts.size === 1) return [...texts.keys()][0]!;
  throw new CallerError('STALE_OUTPUT', `${[...texts.values()].join(' and ')} were analysed on different texts: analyse their sets on the same text, then run this again`);
}
