import { activeFeatures } from '../causal/activeFeatures.ts';
import type { CircuitGraph, CircuitGraphEdge, CircuitGraphNode } from '../causal/circuitGraph.ts';
import { logSoftmax } from '../causal/divergence.ts';
import { relativeDrop } from '../causal/effect.ts';
import type { DictionaryWeights } from '../domain/dictionary.ts';
import { invariant } from '../domain/errors.ts';
import { intervene } from '../interventions/intervene.ts';
import type { Intervention } from '../interventions/intervention.ts';
import type { SubjectModel } from '../ports/SubjectModel.ts';

/** Where a feature is active in a prompt. */
export interface ActiveInPrompt {
  /** All positions where it is active, ascending. */
  readonly positions: readonly number[];
  /** The one where it is most active, and how much: in the dictionary's units, above 0. */
  readonly position: number;
  readonly activation: number;
}

export interface PromptReading {
  /** By node id; features silent in the prompt are missing. */
  readonly active: ReadonlyMap<string, ActiveInPrompt>;
  /** Probability of the target token after the prompt; null where the target is a feature. */
  readonly probability: number | null;
}

/** Runs the model once on a prompt and reads where the features of a circuit are active in it. */
export async function readCircuitPrompt(model: SubjectModel, dictionaries: readonly DictionaryWeights[], graph: CircuitGraph, ids: Int32Array): Promise<PromptReading> {
  const named = new Set(graph.nodes.map(({ dictionary }) => dictionary));
  const encode = dictionaries.filter(({ config }) => named.has(config.name));
  const token = graph.nodes.find(({ id, kind }) => id === graph.target && kind === 'token');
  const { codes, logits } = await model.forward({ batch: batchOf(ids), taps: [], logits: token === undefined ? 'none' : 'last', encode });
  const found = new Map(encode.map(({ config }, i) => [config.name, activeFeatures(codes[i]!, ids.length)]));
  const active = new Map<string, ActiveInPrompt>();
  for (const { id, dictionary, index, kind } of graph.nodes) {
    const at = kind === 'feature' ? found.get(dictionary!)?.get(index)?.get(0) : undefined;
    if (at === undefined) continue;
    const strongest = at.activations.reduce((best, value, i) => (value > at.activations[best]! ? i : best), 0);
    active.set(id, { positions: at.positions, position: at.positions[strongest]!, activation: at.activations[strongest]! });
  }
  if (token === undefined) return { active, probability: null };
  invariant(logits !== null, 'logits were asked for');
  return { active, probability: Math.exp(logSoftmax(logits, 0, model.info.vocabSize)[token.index]!) };
}

/**
 * The circuit's edges measured in one prompt: each source that is active in it is ablated wherever it is, once, and its targets are
 * read where they are most active; the token after the prompt's end. n = 1, so the standard error is 0 and not known. Edges of
 * which an end is silent in the prompt are left out.
 */
export async function measureInPrompt(model: SubjectModel, dictionaries: readonly DictionaryWeights[], graph: CircuitGraph, ids: Int32Array, { active }: PromptReading): Promise<CircuitGraphEdge[]> {
  const nodes = new Map(graph.nodes.map((node) => [node.id, node]));
  const weightsOf = ({ dictionary }: CircuitGraphNode): DictionaryWeights => {
    const weights = dictionaries.find(({ config }) => config.name === dictionary);
    invariant(weights !== undefined, `no dictionary ${dictionary}`);
    return weights;
  };
  const isToken = ({ target }: CircuitGraphEdge): boolean => nodes.get(target)!.kind === 'token';
  const alive = graph.edges.filter((edge) => active.has(edge.source) && (isToken(edge) || active.has(edge.target)));
  const sources = [...Map.groupBy(alive, ({ source }) => source)].map(([source, edges]) => ({ source: nodes.get(source)!, edges, features: edges.filter((edge) => !isToken(edge)) }));
  const interventions = sources.map(({ source, edges, features }): Intervention => {
    const onToken = edges.find(isToken);
    return {
      prompt: 0,
      target: null,
      features: [{ weights: weightsOf(source), index: source.index, operation: { kind: 'ablate' }, positions: active.get(source.id)!.positions }],
      error: 'keep',
      measures: {
        watch: features.map(({ target }) => ({ weights: weightsOf(nodes.get(target)!), index: nodes.get(target)!.index, positions: [active.get(target)!.position] })),
        ...(onToken === undefined ? {} : { positions: [ids.length - 1], logProbs: [nodes.get(onToken.target)!.index] }),
      },
    };
  });
  const results = interventions.length === 0 ? [] : await intervene(model, { prompts: [ids], interventions });
  const effects = new Map<CircuitGraphEdge, number>();
  for (const [i, { edges, features }] of sources.entries()) {
    const { watched, predictions } = results[i]!;
    for (const [k, edge] of features.entries()) effects.set(edge, relativeDrop(watched[k]!.before[0]!, watched[k]!.after[0]!));
    for (const edge of edges.filter(isToken)) effects.set(edge, predictions[0]!.logProbs[0]!.base - predictions[0]!.logProbs[0]!.patched);
  }
  return alive.map((edge) => ({ ...edge, effect: effects.get(edge)!, standardError: 0, n: 1 }));
}

/** Of some prompts, the one after which the model finds a token likeliest; the first of equals. */
export async function likeliestPrompt(model: SubjectModel, prompts: readonly Int32Array[], token: number): Promise<Int32Array> {
  const found = await Promise.all(
    prompts.map(async (ids) => {
      const { logits } = await model.forward({ batch: batchOf(ids), taps: [], logits: 'last' });
      invariant(logits !== null, 'logits were asked for');
      return { ids, logProb: logSoftmax(logits, 0, model.info.vocabSize)[token]! };
    }),
  );
  const [first, ...rest] = found;
  invariant(first !== undefined, 'there is a prompt');
  return rest.reduce((best, one) => (one.logProb > best.logProb ? one : best), first).ids;
}

function batchOf(ids: Int32Array): { rows: number; cols: number; ids: Int32Array; lengths: Int32Array } {
  return { rows: 1, cols: ids.length, ids, lengths: Int32Array.of(ids.length) };
}
