import { circuitMembers, type KeyedEdge } from '../causal/circuitMembers.ts';
import type { Kept } from '../causal/cutDictionary.ts';
import { faithfulnessOf, type CircuitBehaviour, type Faithfulness } from '../causal/faithfulness.ts';
import { hookOrder, usualName } from '../causal/hookOrder.ts';
import { tokenBatches } from '../causal/tokenBatches.ts';
import { outputHookPointOf, type DictionaryWeights } from '../domain/dictionary.ts';
import type { HookPoint } from '../domain/hookPoint.ts';
import { keepOnly, type KeepOptions, type KeepRow } from '../interventions/keepOnly.ts';
import type { SubjectModel } from '../ports/SubjectModel.ts';
import { boundedParallel } from './boundedParallel.ts';
import { keyOf, sourcesOf, type CircuitTarget, type Context } from './circuitTarget.ts';

/** A circuit cut out of the model at some hook points. `of` is null, with the reason, where the ratio means nothing. */
export interface CutCircuit {
  /** The circuit's features among the dictionaries cut. */
  readonly features: number;
  readonly behaviour: CircuitBehaviour;
  readonly of: Faithfulness | null;
}

export interface CircuitFaithfulness {
  /** Of features ablated: 0, or their mean over the analysed text; and what is done to the dictionaries' error terms. */
  readonly ablateTo: 'zero' | 'mean';
  readonly error: KeepOptions['error'];
  /** Contexts the behaviour is a mean over: the target's activation, or its log-probability in nats. */
  readonly contexts: number;
  /** At all hook points with features of the circuit at once. */
  readonly whole: CutCircuit;
  readonly byHookPoint: readonly (CutCircuit & { readonly hookPoint: HookPoint })[];
  /** With only the most influential features of the circuit (src/causal/circuitMembers.ts), cut at all its hook points. */
  readonly bySize: readonly { readonly features: number; readonly faithfulness: number }[];
}

export interface FaithfulnessInput {
  readonly model: SubjectModel;
  readonly dictionaries: readonly DictionaryWeights[];
  readonly target: CircuitTarget;
  /** Edges measured, by key: `{dictionary}/{index}`, and the target's own. */
  readonly edges: readonly KeyedEdge[];
  readonly targetKey: string;
  readonly contexts: readonly Context[];
  /** Mean activation of every feature [F] over the analysed text; read where features are ablated to it. */
  means(dictionary: string): Promise<Float32Array>;
  readonly ablateTo: CircuitFaithfulness['ablateTo'];
  readonly error: KeepOptions['error'];
  readonly batchTokens: number;
}

/**
 * How much of a target's behaviour its circuit carries. The circuit is every feature that feeds the target along measured edges;
 * at each hook point with one of them all features of the dictionaries there, at all positions, are ablated but the circuit's (C),
 * but the others (M∖C), or all (∅); M is the model as it is. Null where the circuit has no feature, the target is active nowhere,
 * or the circuit has features of two dictionaries that write at one place: taking out both would take the same vector out twice.
 */
export async function circuitFaithfulness(input: FaithfulnessInput): Promise<CircuitFaithfulness | null> {
  const { model, target } = input;
  const whole = await behaviourOf(input, [], new Map(), input.contexts, 'zero');
  const counted = [...input.contexts.keys()].filter((b) => target.kind === 'token' || whole[b] > input.contexts[b].above);
  const members = circuitMembers(input.edges, input.targetKey, target.kind === 'token' ? 'nats' : 'drop');
  const used = sourcesOf(target, input.dictionaries, 'all').filter(({ config }) => members.some((key) => dictionaryOf(key) === config.name));
  const places = new Set(used.map(({ config }) => usualName(outputHookPointOf(config))));
  if (counted.length === 0 || used.length === 0 || places.size < used.length) return null;
  const contexts = counted.map((b) => input.contexts[b]);
  const ablateTo = input.ablateTo === 'zero' ? 'zero' : new Map(await Promise.all(used.map(async (weights) => [weights, await input.means(weights.config.name)] as const)));
  const inModel = meanOf(Float64Array.from(counted, (b) => whole[b]));
  const [circuit, complement] = [keptOf(used, members), complementOf(used, members)];
  const byHook = [...Map.groupBy(used, ({ config }) => usualName(config.hookPoint))].map(([hookPoint, here]) => ({ hookPoint, here }));
  const smaller = sizes(members.length);
  /** What is run, each once; they do not depend on each other. */
  const runs: { readonly dictionaries: readonly DictionaryWeights[]; readonly kept: Kept }[] = [];
  const cut = (dictionaries: readonly DictionaryWeights[]): number => runs.push({ dictionaries, kept: new Map() }, { dictionaries, kept: circuit }, { dictionaries, kept: complement }) - 3;
  const wholeAt = cut(used);
  const hooksAt = byHook.map(({ here }) => (here.length === used.length ? wholeAt : cut(here)));
  const sizesAt = smaller.map((size) => runs.push({ dictionaries: used, kept: keptOf(used, members.slice(0, size)) }) - 1);
  const values = new Float64Array(runs.length);
  await boundedParallel(runs.length, model.concurrency + 1, async (i) => {
    values[i] = meanOf(await behaviourOf(input, runs[i].dictionaries, runs[i].kept, contexts, ablateTo));
  });

  const resultAt = (at: number, dictionaries: readonly DictionaryWeights[]): CutCircuit => {
    const behaviour = { whole: inModel, empty: values[at], circuit: values[at + 1], complement: values[at + 2] };
    return { features: dictionaries.reduce((sum, weights) => sum + circuit.get(weights)!.size, 0), behaviour, of: faithfulnessOf(behaviour) };
  };
  const all = resultAt(wholeAt, used);
  const byHookPoint = byHook.map(({ hookPoint, here }, h) => ({ hookPoint, ...resultAt(hooksAt[h], here) }));
  const bySize = [];
  for (const [s, features] of [...smaller, members.length].entries()) {
    const ratio = faithfulnessOf({ ...all.behaviour, circuit: s < smaller.length ? values[sizesAt[s]] : all.behaviour.circuit });
    if (ratio !== null) bySize.push({ features, faithfulness: ratio.faithfulness });
  }
  byHookPoint.sort((a, b) => hookOrder(a.hookPoint) - hookOrder(b.hookPoint));
  return { ablateTo: input.ablateTo, error: input.error, contexts: contexts.length, whole: all, byHookPoint, bySize };
}

/** The behaviour in each context, in batches. */
async function behaviourOf({ model, target, error, batchTokens }: FaithfulnessInput, dictionaries: readonly DictionaryWeights[], kept: Kept, contexts: readonly Context[], ablateTo: KeepOptions['ablateTo']): Promise<Float64Array> {
  const found = new Float64Array(contexts.length);
  const sorted = [...contexts.keys()].sort((a, b) => contexts[a].ids.length - contexts[b].ids.length || a - b);
  const parts = tokenBatches(sorted, (i) => contexts[i].ids.length, { tokens: batchTokens / 2, rows: 1024 });
  for (const part of parts) {
    const rows = part.map((i): KeepRow => ({ ids: contexts[i].ids, kept }));
    const values = await keepOnly(model, dictionaries, rows, target, { ablateTo, error });
    part.forEach((i, b) => (found[i] = values[b]));
  }
  return found;
}

/** Features kept of each dictionary: one set for all contexts. */
function keptOf(dictionaries: readonly DictionaryWeights[], members: readonly string[]): Map<DictionaryWeights, Set<number>> {
  return new Map(dictionaries.map((weights) => [weights, new Set(members.filter((key) => dictionaryOf(key) === weights.config.name).map(indexOf))]));
}

function complementOf(dictionaries: readonly DictionaryWeights[], members: readonly string[]): Map<DictionaryWeights, Set<number>> {
  const inside = new Set(members);
  const others = (weights: DictionaryWeights): number[] => Array.from({ length: weights.config.nFeatures }, (_, index) => index).filter((index) => !inside.has(keyOf({ dictionary: weights.config.name, index })));
  return new Map(dictionaries.map((weights) => [weights, new Set(others(weights))]));
}

/** Powers of two below a number. */
function sizes(most: number): number[] {
  const found: number[] = [];
  for (let size = 1; size < most; size *= 2) found.push(size);
  return found;
}

function meanOf(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function dictionaryOf(key: string): string {
  return key.slice(0, key.lastIndexOf('/'));
}

function indexOf(key: string): number {
  return Number(key.slice(key.lastIndexOf('/') + 1));
}
