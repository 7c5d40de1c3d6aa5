import type { DictionaryWeights } from '../domain/dictionary.ts';
import type { CircuitTarget } from './circuitTarget.ts';

/** First-order effect on the target of ablating each active feature, by prompt: one map per source, in order. */
export type Attribution = (target: CircuitTarget, prompts: readonly Int32Array[], sources: readonly DictionaryWeights[]) => Promise<readonly ReadonlyMap<number, Float64Array>[]>;
