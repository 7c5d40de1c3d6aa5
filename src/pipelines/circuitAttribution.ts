import { attributeFeatures } from '../interventions/attribute.ts';
import type { DictionaryWeights } from '../domain/dictionary.ts';
import type { GradientModel } from '../ports/GradientModel.ts';
import type { CircuitTarget } from './circuitTarget.ts';

/** First-order effect on the target of ablating each active feature, by prompt: one map per source, in order. */
export type Attribution = (target: CircuitTarget, prompts: readonly Int32Array[], sources: readonly DictionaryWeights[]) => Promise<readonly ReadonlyMap<number, Float64Array>[]>;

/** By exact gradients at the last token of each prompt; with `steps`, by integrated gradients, which cost so many runs per source. */
export function gradientAttribution(model: GradientModel, batchTokens: number, steps?: number): Attribution {
  return (target, prompts, sources) =>
    attributeFeatures(model, {
      prompts,
      objective: target.kind === 'feature' ? target : { kind: 'token', measure: 'logProb', ids: prompts.map(() => target.id) },
      sources,
      batchTokens,
      ...(steps === undefined ? {} : { steps }),
    });
}
