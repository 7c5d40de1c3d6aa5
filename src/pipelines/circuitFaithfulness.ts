import { circuitMembers, type KeyedEdge } from '../causal/circuitMembers.ts';
import type { Kept } from '../causal/cutDictionary.ts';
import { faithfulnessOf, type CircuitBehaviour, type Faithfulness } from '../causal/faithfulness.ts';
import { hookOrder, usualName } from '../causal/hookOrder.ts';
import { tokenBatches } from '../causal/tokenBatches.ts';
import type { DictionaryWeights } from '../domain/dictionary.ts';
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
 * but the others (M∖C), or all (∅); M is the model as it is. Null where the circuit has no feature or the target is active nowhere.
 */
export async function circuitFaithfulness(input: FaithfulnessInput): Promise<CircuitFaithfulness | null> {
  const { target } = input;
  const whole = await behaviourOf(input, [], new Map(), input.contexts, 'zero');
  const counted = [...input.contexts.keys()].filter((b) => target.kind === 'token' || whole[b] > input.contexts[b].above);
  const members = circuitMembers(input.edges, input.targetKey, target.kind === 'token' ? 'nats' : 'drop');
  const used = sourcesOf(target, input.dictionaries, 'all').filter(({ config }) => members.some((key) => dictionaryOf(key) === config.name));
  if (counted.length === 0 || used.length === 0) return null;
  const contexts = counted.map((b) => input.contexts[b]);
  const ablateTo = input.ablateTo === 'zero' ? 'zero' : new Map(await Promise.all(used.map(async (weights) => [weights, await input.means(weights.config.name)] as const)));
  const m = async (dictionaries: readonly DictionaryWeights[], kept: Kept): Promise<number> => meanOf(await behaviourOf(input, dictionaries, kept, contexts, ablateTo));

  const inModel = meanOf(Float64Array.from(counted, (b) => whole[b]));
  const [circuit, complement] = [keptOf(used, members), complementOf(used, members)];
  const cut = async (dictionaries: readonly DictionaryWeights[]): Promise<CutCircuit> => {
    const behaviour = { whole: inModel, empty: await m(dictionaries, new Map()), circuit: await m(dictionaries, circuit), complement: await m(dictionaries, complement) };
    return { features: dictionaries.reduce((sum, weights) => sum + circuit.get(weights)!.size, 0), behaviour, of: faithfulnessOf(behaviour) };
  };
  const all = await cut(used);
  const byHookPoint = [];
  for (const [hookPoint, here] of Map.groupBy(used.toReversed(), ({ config }) => usualName(config.hookPoint))) {
    byHookPoint.push({ hookPoint, ...(here.length === used.length ? all : await cut(here)) });
  }
  const bySize = [];
  for (const size of sizes(members.length)) {
    const value = size === members.length ? all.behaviour.circuit : await m(used, keptOf(used, members.slice(0, size)));
    const ratio = faithfulnessOf({ ...all.behaviour, circuit: value });
    if (ratio !== null) bySize.push({ features: size, faithfulness: ratio.faithfulness });
  }
  byHookPoint.sort((a, b) => hookOrder(a.hookPoint) - hookOrder(b.hookPoint));
  return { ablateTo: input.ablateTo, error: input.error, contexts: contexts.length, whole: all, byHookPoint, bySize };
}

/** The behaviour in each context, in batches. */
async function behaviourOf({ model, target, error, batchTokens }: FaithfulnessInput, dictionaries: readonly DictionaryWeights[], kept: Kept, contexts: readonly Context[], ablateTo: KeepOptions['ablateTo']): Promise<Float64Array> {
  const found = new Float64Array(contexts.length);
  const sorted = [...contexts.keys()].sort((a, b) => contexts[a].ids.length - contexts[b].ids.length || a - b);
  const parts = tokenBatches(sorted, (i) => contexts[i].ids.length, { tokens: batchTokens / 2, rows: 1024 });
  await boundedParallel(parts.length, model.concurrency + 1, async (p) => {
    const rows = parts[p].map((i): KeepRow => ({ ids: contexts[i].ids, kept }));
    const values = await keepOnly(model, dictionaries, rows, target, { ablateTo, error });
    parts[p].forEach((i, b) => (found[i] = values[b]));
  });
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

/** Powers of two below a number, and the number. */
function sizes(most: number): number[] {
  const found: number[] = [];
  for (let size = 1; size < most; size *= 2) found.push(size);
  return [...found, most];
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
