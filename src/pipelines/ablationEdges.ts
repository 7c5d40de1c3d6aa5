import { ablationBatches, type AblationRow } from '../causal/ablationBatches.ts';
import { activeFeatures } from '../causal/activeFeatures.ts';
import { meanEffect, relativeDrop, type MeanEffect } from '../causal/effect.ts';
import { activationOf, addFeatureEdit } from '../causal/featureEdit.ts';
import { pointsOf, startBefore } from '../causal/hookOrder.ts';
import { proposeSources, type ActiveSource } from '../causal/proposeSources.ts';
import type { DictionaryWeights } from '../domain/dictionary.ts';
import { invariant } from '../domain/errors.ts';
import { residualBoundary, type HookPoint } from '../domain/hookPoint.ts';
import type { SubjectModel } from '../ports/SubjectModel.ts';
import { inOrder } from './inOrder.ts';

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
 * code). Every number comes from running the network from where the source writes on, with x′ = x − s·c_j f_j there; a
 * feature silent in a context has effect 0 there, and that counts in the mean.
 *
 * The target must be read no earlier than the source writes. One call holds contexts·T·D numbers per hook point, plus what the batches under
 * way hold.
 */
export async function ablationEdges(
  model: SubjectModel,
  source: DictionaryWeights,
  target: { readonly weights: DictionaryWeights; readonly index: number },
  contexts: readonly Context[],
  options: AblationOptions,
): Promise<AblationReport> {
  const d = model.info.dModel;
  const { edit: hook } = pointsOf(source.config, d);
  const start = startBefore(hook);
  const cols = Math.max(...contexts.map(({ ids }) => ids.length));
  const batch = { rows: contexts.length, cols, ids: new Int32Array(contexts.length * cols), lengths: Int32Array.from(contexts, ({ ids }) => ids.length) };
  contexts.forEach(({ ids }, b) => batch.ids.set(ids, b * cols));
  const clean = await model.forward({ batch, taps: [start, target.weights.config.hookPoint], logits: 'none', encode: [source] });
  const streams = tapOf(clean.taps, start);
  const read = (taps: ReadonlyMap<HookPoint, Float32Array>, row: number, width: number, length: number): number =>
    activationOf(target.weights, target.index, tapOf(taps, target.weights.config.hookPoint), (row * width + length - 1) * d);
  const active = contexts.map(({ ids }, b) => read(clean.taps, b, cols, ids.length));
  const counted = [...active.keys()].filter((b) => active[b] > contexts[b].above);
  const found = [...activeFeatures(clean.codes[0], cols)].filter(([, at]) => counted.some((context) => at.has(context)));
  const silent = source.config.nFeatures - found.length;
  if (counted.length === 0) return { edges: [], contexts: 0, ablations: 0, silent, unmeasured: 0 };
  const lasts = new Map(counted.map((context) => [context, contexts[context].ids.length - 1]));
  const sources = proposeSources(found, source, target, lasts, options.candidates ?? Infinity);

  const rows: AblationRow[] = sources.flatMap(([, at], feature) => counted.filter((context) => at.has(context)).map((context) => ({ feature, context })));
  const drops = sources.map(() => new Map<number, number>());
  const results = inOrder(ablationBatches(rows, (b) => contexts[b].ids.length, options.batchTokens), model.concurrency + 1, async (part) => {
    const width = contexts[part[part.length - 1].context].ids.length;
    const lengths = Int32Array.from(part, ({ context }) => contexts[context].ids.length);
    const residual = new Float32Array(part.length * width * d);
    const delta = new Float32Array(part.length * width * d);
    part.forEach(({ feature, context }, row) => {
      residual.set(streams.subarray(context * cols * d, (context * cols + lengths[row]) * d), row * width * d);
      takeOut(delta, row * width * d, source, sources[feature], context);
    });
    const onStream = residualBoundary(hook) !== undefined;
    if (onStream) for (let i = 0; i < delta.length; i++) residual[i] += delta[i];
    const { taps } = await model.forward({
      batch: { rows: part.length, cols: width, ids: new Int32Array(part.length * width), lengths },
      from: { at: start, residual },
      edits: onStream ? [] : [{ at: hook, delta }],
      taps: [target.weights.config.hookPoint],
      logits: 'none',
    });
    return part.map(({ feature, context }, row) => ({ feature, context, ablated: read(taps, row, width, lengths[row]) }));
  });
  for await (const part of results) for (const { feature, context, ablated } of part) drops[feature].set(context, relativeDrop(active[context], ablated));

  const edges = sources
    .map(([index], feature) => ({ index, ...meanEffect(counted.map((context) => drops[feature].get(context) ?? 0)) }))
    .sort((a, b) => Math.abs(b.effect) - Math.abs(a.effect) || a.index - b.index);
  return { edges, contexts: counted.length, ablations: rows.length, silent, unmeasured: found.length - sources.length };
}

/** Writes −s·c_j f_j at every position of the context where the feature is active. */
function takeOut(delta: Float32Array, at: number, source: DictionaryWeights, [index, places]: ActiveSource, context: number): void {
  const place = places.get(context);
  invariant(place !== undefined, 'a feature is ablated where it is silent');
  place.positions.forEach((t, i) => addFeatureEdit(delta, at + t * source.config.dOut, source, index, -place.activations[i]));
}

function tapOf(taps: ReadonlyMap<HookPoint, Float32Array>, hook: HookPoint): Float32Array {
  const tap = taps.get(hook);
  invariant(tap !== undefined, `the model gave no tap at ${hook}`);
  return tap;
}
