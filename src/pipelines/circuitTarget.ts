import { pointsOf, hookOrder } from '../causal/hookOrder.ts';
import { outputHookPointOf, type DictionaryWeights } from '../domain/dictionary.ts';
import { CallerError, invariant } from '../domain/errors.ts';
import type { ModelInfo } from '../domain/model.ts';

export interface CircuitNode {
  readonly dictionary: string;
  readonly index: number;
}

/** An output token whose prediction is explained. */
export interface CircuitToken {
  readonly id: number;
  /** As text. */
  readonly token: string;
}

/** What is measured at the last token of each context while sources are ablated. */
export type CircuitTarget =
  | { readonly kind: 'feature'; readonly weights: DictionaryWeights; readonly index: number } // its activation
  | { readonly kind: 'token'; readonly id: number }; // the log-probability that it comes next

/** Text up to and including the token where the target is measured. */
export interface Context {
  readonly ids: Int32Array;
  /** A feature's context counts when its activation at the last token is greater than this. */
  readonly above: number;
}

/**
 * Dictionaries that can feed a target: for a feature those that are read before its own and write no later than that, all or
 * those that write at the latest such point; for an output token every one. An autoencoder writes where it reads; a
 * transcoder can feed one that is read right where it writes.
 */
export function sourcesOf(target: CircuitTarget, all: readonly DictionaryWeights[], which: 'previous' | 'all'): DictionaryWeights[] {
  const reads = (one: DictionaryWeights): number => hookOrder(one.config.hookPoint);
  const writes = (one: DictionaryWeights): number => hookOrder(outputHookPointOf(one.config));
  const sorted = all.toSorted((a, b) => writes(b) - writes(a));
  if (target.kind === 'token') return sorted;
  const before = sorted.filter((one) => reads(one) < reads(target.weights) && writes(one) <= reads(target.weights));
  return which === 'all' ? before : before.filter((one) => writes(one) === writes(before[0]));
}

/** Throws NOT_FOUND unless the feature is one of the dictionaries', BAD_INPUT where nothing lies before it that could feed it. */
export function checkTarget({ dictionary, index }: CircuitNode, dictionaries: readonly DictionaryWeights[], info: ModelInfo): void {
  const name = `target ${info.name}/${dictionary}/${index}`;
  const weights = dictionaries.find(({ config }) => config.name === dictionary);
  if (weights === undefined) throw new CallerError('NOT_FOUND', `${name}: no such dictionary; there are ${dictionaries.map(({ config }) => config.name).join(', ')}`);
  if (!Number.isInteger(index) || index < 0 || index >= weights.config.nFeatures) {
    throw new CallerError('NOT_FOUND', `${name}: the dictionary has features 0 to ${weights.config.nFeatures - 1}`);
  }
  pointsOf(weights.config, info.dModel);
  if (sourcesOf({ kind: 'feature', weights, index }, dictionaries, 'previous').length > 0) return;
  throw new CallerError('BAD_INPUT', `${name}: no dictionary here is read before ${weights.config.hookPoint}, so nothing can feed it; choose a later target, or add a set of earlier dictionaries`);
}

/** Throws BAD_INPUT unless the id is one of the vocabulary. */
export function checkToken({ id, token }: CircuitToken, info: ModelInfo): void {
  if (!Number.isInteger(id) || id < 0 || id >= info.vocabSize) throw new CallerError('BAD_INPUT', `token ${JSON.stringify(token)} with id ${id}: expected an id from 0 to ${info.vocabSize - 1}`);
}

export function weightsOf(dictionary: string, dictionaries: readonly DictionaryWeights[]): DictionaryWeights {
  const weights = dictionaries.find(({ config }) => config.name === dictionary);
  invariant(weights !== undefined, `no dictionary ${dictionary}`);
  return weights;
}

export function keyOf({ dictionary, index }: CircuitNode): string {
  return `${dictionary}/${index}`;
}
