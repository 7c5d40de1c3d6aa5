import { activeFeatures } from '../causal/activeFeatures.ts';
import { meanEffect, relativeDrop, type MeanEffect } from '../causal/effect.ts';
import { activationOf } from '../causal/featureEdit.ts';
import { pointsOf } from '../causal/hookOrder.ts';
import { proposeSources } from '../causal/proposeSources.ts';
import type { DictionaryWeights } from '../domain/dictionary.ts';
import { invariant } from '../domain/errors.ts';
import { intervene } from '../interventions/intervene.ts';
import type { Intervention } from '../interventions/intervention.ts';
import type { SubjectModel } from '../ports/SubjectModel.ts';

/** Text up to and including the token where the target fires. */
export interface Context {
  readonly ids: Int32Array;
  /** The context counts when the target's activation at its last token is greater than this. */
  readonly above: number;
}

export interface AblationOptions {
  /** Tokens of one forward run. */
  readonly batchTokens: number;
  /** Active source features that are ablated, chosen by proposeSources; null = all. */
  readonly candidates: number | null;
}

export interface AblationEdge extends MeanEffect {
  readonly index: number;
}

export interface AblationReport {
  /** Measured features, strongest |effect| first. */
  readonly edges: readonly AblationEdge[];
  /** Contexts that count. */
  readonly contexts: number;
  /** Rows (one feature out of one context) that were run. */
  readonly ablations: number;
  /** Source features silent in all contexts: ablating them changes nothing, so they are not run. */
  readonly silent: number;
  /** Active source features that were not among the candidates: their effect is not known. */
  readonly unmeasured: number;
}

/**
 * What ablating each feature of `source` at all positions of a context does to feature `index` of `target` at the
 * context's last token: the mean over contexts of (a − a_ablated + ε)/(a + ε) (Cunningham et al. 2023, section 5 and its
 * code). Every number comes from running the network with x′ = x − s·c_j f_j where the source writes (src/interventions); a
 * feature silent in a context has effect 0 there, and that counts in the mean.
 *
 * The target must be read no earlier than the source writes. One call holds what the intervention engine holds, and
 * contexts·T·D numbers.
 */
export async function ablationEdges(
  model: SubjectModel,
  source: DictionaryWeights,
  target: { readonly weights: DictionaryWeights; readonly index: number },
  contexts: readonly Context[],
  options: AblationOptions,
): Promise<AblationReport> {
  const d = model.info.dModel;
  const { read: hook } = pointsOf(target.weights.config, d);
  const cols = Math.max(...contexts.map(({ ids }) => ids.length));
  const batch = { rows: contexts.length, cols, ids: new Int32Array(contexts.length * cols), lengths: Int32Array.from(contexts, ({ ids }) => ids.length) };
  contexts.forEach(({ ids }, b) => batch.ids.set(ids, b * cols));
  const clean = await model.forward({ batch, taps: [hook], logits: 'none', encode: [source] });
  const stream = clean.taps.get(hook);
  invariant(stream !== undefined, `the model gave no tap at ${hook}`);
  const active = contexts.map(({ ids }, b) => activationOf(target.weights, target.index, stream, (b * cols + ids.length - 1) * d));
  const counted = [...active.keys()].filter((b) => active[b] > contexts[b].above);
  const found = [...activeFeatures(clean.codes[0], cols)].filter(([, at]) => counted.some((context) => at.has(context)));
  const silent = source.config.nFeatures - found.length;
  if (counted.length === 0) return { edges: [], contexts: 0, ablations: 0, silent, unmeasured: 0 };
  const lasts = new Map(counted.map((context) => [context, contexts[context].ids.length - 1]));
  const sources = proposeSources(found, source, target, lasts, options.candidates ?? Infinity);

  const rows = sources.flatMap(([, at], feature) => counted.filter((context) => at.has(context)).map((context) => ({ feature, context })));
  const interventions = rows.map(({ feature, context }): Intervention => {
    const [index, places] = sources[feature];
    const positions = places.get(context)?.positions;
    invariant(positions !== undefined, 'a feature is ablated where it is silent');
    const watch = [{ ...target, positions: [contexts[context].ids.length - 1] }];
    return { prompt: context, target: null, features: [{ weights: source, index, operation: { kind: 'ablate' }, positions }], error: 'keep', measures: { watch } };
  });
  const results = await intervene(model, { prompts: contexts.map(({ ids }) => ids), interventions }, { batchTokens: options.batchTokens });
  const drops = sources.map(() => new Map<number, number>());
  for (const [i, { feature, context }] of rows.entries()) drops[feature].set(context, relativeDrop(active[context], results[i].watched[0].after[0]));

  const edges = sources
    .map(([index], feature) => ({ index, ...meanEffect(counted.map((context) => drops[feature].get(context) ?? 0)) }))
    .sort((a, b) => Math.abs(b.effect) - Math.abs(a.effect) || a.index - b.index);
  return { edges, contexts: counted.length, ablations: rows.length, silent, unmeasured: found.length - sources.length };
}
