import { activeFeatures } from '../causal/activeFeatures.ts';
import { meanEffect, relativeDrop, type MeanEffect } from '../causal/effect.ts';
import { activationOf } from '../causal/featureEdit.ts';
import { pointsOf } from '../causal/hookOrder.ts';
import { mostAttributed, proposeSources, type ActiveSource } from '../causal/proposeSources.ts';
import type { DictionaryWeights } from '../domain/dictionary.ts';
import { invariant } from '../domain/errors.ts';
import { intervene } from '../interventions/intervene.ts';
import type { Intervention, InterventionResult, Measures } from '../interventions/intervention.ts';
import type { SubjectModel } from '../ports/SubjectModel.ts';
import type { Attribution } from './circuitAttribution.ts';
import type { CircuitTarget, Context } from './circuitTarget.ts';

export interface AblationOptions {
  /** Tokens of one forward run. */
  readonly batchTokens: number;
  /** Active features of each source dictionary that are ablated, the likeliest; null = all. */
  readonly candidates: number | null;
}

export interface AblationEdge extends MeanEffect {
  readonly source: DictionaryWeights;
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
 * What ablating each feature of the sources at all positions of a context does to the target at the context's last token. A
 * feature: the mean over contexts of (a − a_ablated + ε)/(a + ε) (Cunningham et al. 2023, section 5 and its code). An
 * output token: the mean of log p − log p_ablated, in nats. Every number comes from running the network with
 * x′ = x − s·c_j f_j where the source writes (src/interventions); a feature silent in a context has effect 0 there, and that
 * counts in the mean.
 *
 * A target feature must be read no earlier than any source writes. One call holds what the intervention engine holds, and
 * contexts·T·D numbers. `attribute` chooses the candidates; null = proposeSources, which has no gradient.
 */
export async function ablationEdges(
  model: SubjectModel,
  sources: readonly DictionaryWeights[],
  target: CircuitTarget,
  contexts: readonly Context[],
  options: AblationOptions,
  attribute: Attribution | null = null,
): Promise<AblationReport> {
  const nothing = { edges: [], contexts: 0, ablations: 0, silent: 0, unmeasured: 0 };
  if (contexts.length === 0 || sources.length === 0) return nothing;
  const clean = await cleanRun(model, sources, target, contexts);
  const silentOnes = (active: readonly (readonly ActiveSource[])[]): number => sources.reduce((sum, { config }, s) => sum + config.nFeatures - active[s].length, 0);
  const counted = [...contexts.keys()].filter((b) => clean.active === null || clean.active[b] > contexts[b].above);
  const active = clean.features.map((found) => found.filter(([, at]) => counted.some((context) => at.has(context))));
  if (counted.length === 0) return { ...nothing, silent: silentOnes(active) };
  const lasts = new Map(counted.map((context) => [context, contexts[context].ids.length - 1]));
  const limit = options.candidates ?? Infinity;
  const attributed = attribute !== null && active.some((found) => found.length > limit) ? await attribute(target, counted.map((context) => contexts[context].ids), sources) : null;

  const unit = clean.active === null ? null : counted.map((context) => clean.active![context]);
  const edges: AblationEdge[] = [];
  let [ablations, unmeasured] = [0, 0];
  for (const [s, source] of sources.entries()) {
    const chosen = attributed === null ? proposeSources(active[s], source, target.kind === 'token' ? null : target, lasts, limit) : mostAttributed(active[s], attributed[s], unit, limit);
    const rows = chosen.flatMap(([, at], feature) => counted.filter((context) => at.has(context)).map((context) => ({ feature, context })));
    const interventions = rows.map(({ feature, context }): Intervention => {
      const [index, places] = chosen[feature];
      const positions = places.get(context)?.positions;
      invariant(positions !== undefined, 'a feature is ablated where it is silent');
      const last = contexts[context].ids.length - 1;
      return { prompt: context, target: null, features: [{ weights: source, index, operation: { kind: 'ablate' }, positions }], error: 'keep', measures: measuresOf(target, last) };
    });
    const results = await intervene(model, { prompts: contexts.map(({ ids }) => ids), interventions }, { batchTokens: options.batchTokens });
    const drops = chosen.map(() => new Map<number, number>());
    for (const [i, { feature, context }] of rows.entries()) drops[feature].set(context, dropOf(target, clean.active?.[context] ?? null, results[i]));
    for (const [feature, [index]] of chosen.entries()) edges.push({ source, index, ...meanEffect(counted.map((context) => drops[feature].get(context) ?? 0)) });
    ablations += rows.length;
    unmeasured += active[s].length - chosen.length;
  }
  // Stable: equal ones stay in the order of sources.
  edges.sort((a, b) => Math.abs(b.effect) - Math.abs(a.effect) || (a.source === b.source ? a.index - b.index : 0));
  return { edges, contexts: counted.length, ablations, silent: silentOnes(active), unmeasured };
}

/** The active features of each source, and the target feature's activation at the end of each context; null for a token. */
async function cleanRun(model: SubjectModel, sources: readonly DictionaryWeights[], target: CircuitTarget, contexts: readonly Context[]): Promise<{ features: ActiveSource[][]; active: number[] | null }> {
  const d = model.info.dModel;
  const cols = Math.max(...contexts.map(({ ids }) => ids.length));
  const batch = { rows: contexts.length, cols, ids: new Int32Array(contexts.length * cols), lengths: Int32Array.from(contexts, ({ ids }) => ids.length) };
  contexts.forEach(({ ids }, b) => batch.ids.set(ids, b * cols));
  const hook = target.kind === 'feature' ? pointsOf(target.weights.config, d).read : null;
  const clean = await model.forward({ batch, taps: hook === null ? [] : [hook], logits: 'none', encode: sources });
  const features = clean.codes.map((codes) => [...activeFeatures(codes, cols)]);
  if (target.kind === 'token' || hook === null) return { features, active: null };
  const stream = clean.taps.get(hook);
  invariant(stream !== undefined, `the model gave no tap at ${hook}`);
  return { features, active: contexts.map(({ ids }, b) => activationOf(target.weights, target.index, stream, (b * cols + ids.length - 1) * d)) };
}

function measuresOf(target: CircuitTarget, last: number): Measures {
  if (target.kind === 'token') return { positions: [last], logProbs: [target.id] };
  return { watch: [{ weights: target.weights, index: target.index, positions: [last] }] };
}

function dropOf(target: CircuitTarget, active: number | null, result: InterventionResult): number {
  if (target.kind === 'token') {
    const { base, patched } = result.predictions[0].logProbs[0];
    return base - patched;
  }
  invariant(active !== null, 'a feature has an activation');
  return relativeDrop(active, result.watched[0].after[0]);
}
