import { join } from 'node:path';
import { attributionGraph, type AttributionGraph } from '../../src/adapters/report/attributionGraph.ts';
import { promptIds, tokenTexts } from '../../src/catalog/prompt.ts';
import type { CircuitGraph } from '../../src/causal/circuitGraph.ts';
import { CallerError, invariant } from '../../src/domain/errors.ts';
import { CIRCUIT_DEFAULTS } from '../../src/pipelines/circuits.ts';
import { CircuitTexts, type TextInput } from '../../src/pipelines/circuitContexts.ts';
import { tokenContexts } from '../../src/pipelines/circuitTokenContexts.ts';
import { likeliestPrompt, measureInPrompt, readCircuitPrompt } from '../../src/pipelines/promptCircuit.ts';
import type { SubjectModel } from '../../src/ports/SubjectModel.ts';
import type { Tokenizer } from '../../src/ports/Tokenizer.ts';
import { CODE_VERSION } from '../../src/version.ts';
import type { Workspace } from '../workspace.ts';
import { memberOf, type FoundGraph } from './circuitGraph.ts';
import { featuresPath } from './dictionarySet.ts';
import { withTokens } from './tokens.ts';

export interface PromptChoice {
  /** The text to show the circuit on; null: the target's strongest. */
  readonly prompt: string | null;
  readonly weights: 'corpus' | 'prompt';
}

/** A circuit on one prompt: where its features are active in it, and, for `prompt` weights, each edge measured in it by ablation. */
export async function promptGraph(workspace: Workspace, model: SubjectModel, tokenizer: Tokenizer, found: FoundGraph, { prompt, weights }: PromptChoice): Promise<AttributionGraph> {
  const { graph, run, members } = found;
  const dictionaries = members.map((member) => member.weights);
  const ids = prompt === null ? await strongestPrompt(workspace, model, found) : promptIds(tokenizer, model.info.contextLength, prompt, 'prompt');
  const reading = await readCircuitPrompt(model, dictionaries, graph, ids);
  const isFeature = graph.nodes.some(({ id, kind }) => id === graph.target && kind === 'feature');
  if (isFeature && !reading.active.has(graph.target)) throw new CallerError('BAD_INPUT', `${graph.model}/${graph.target} is silent in this prompt: give one where it is active, or none for its strongest text`, { field: ['prompt'] });
  const shown = weights === 'corpus' ? graph : connected({ ...graph, edges: await measureInPrompt(model, dictionaries, graph, ids, reading) });
  return attributionGraph(shown, {
    prompt: { text: tokenizer.decode(ids), tokens: tokenTexts(tokenizer, ids), ...reading },
    weights,
    sizes: new Map(members.map(({ name, weights: { config } }) => [name, config.nFeatures])),
    version: CODE_VERSION,
    settings: { ...run.params, run: run.key },
    finishedAt: run.finishedAt ?? run.startedAt,
  });
}

/** Only nodes that lead to the target. */
function connected(graph: CircuitGraph): CircuitGraph {
  const reached = new Set([graph.target]);
  for (let before = 0; reached.size > before; ) {
    before = reached.size;
    for (const { source, target } of graph.edges) if (reached.has(target)) reached.add(source);
  }
  return { ...graph, nodes: graph.nodes.filter(({ id }) => reached.has(id)), edges: graph.edges.filter(({ target }) => reached.has(target)) };
}

/** Texts of a token that are compared. */
const COMPARED = 16;

/** The context in which the target feature is strongest; of some drawn for a token, the one where the model finds it likeliest. */
async function strongestPrompt(workspace: Workspace, model: SubjectModel, { graph, run, members }: FoundGraph): Promise<Int32Array> {
  const { config, artefacts } = workspace;
  const target = graph.nodes.find(({ id }) => id === graph.target)!;
  const contextTokens = (run.params['contextTokens'] as number | undefined) ?? CIRCUIT_DEFAULTS.contextTokens;
  const { current } = target.kind === 'feature' ? memberOf(members, target.dictionary!) : members[0]!;
  return withTokens(join(config.home, current.analysedTokens ?? current.tokens), async (tokens) => {
    const input: TextInput = {
      model,
      dictionaries: members.map(({ weights }) => weights),
      features: new Map(members.map((member) => [member.name, featuresPath(workspace, member)])),
      tokens,
      rows: { from: current.analysedTokens === undefined ? current.trainRows : 0, to: tokens.rows },
      artefacts,
    };
    const options = { contextTokens, seed: run.seed, batchTokens: CIRCUIT_DEFAULTS.batchTokens };
    if (target.kind === 'token') {
      const contexts = await tokenContexts(input, { id: target.index, token: target.description ?? '' }, { ...options, contexts: COMPARED });
      return likeliestPrompt(model, contexts.map(({ ids }) => ids), target.index);
    }
    const [strongest] = await new CircuitTexts(input, { ...options, contexts: 1, contextsFrom: 'top' }).of({ dictionary: target.dictionary!, index: target.index });
    invariant(strongest !== undefined, 'a feature with edges is active in some text');
    return strongest.ids;
  });
}
