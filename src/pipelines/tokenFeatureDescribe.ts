import type { BasisDirection } from '../causal/basisDirection.ts';
import { tQuantile } from '../causal/interval.ts';
import type { DictionaryWeights } from '../domain/dictionary.ts';
import { effectsByToken } from '../interp/effectsByToken.ts';
import { pickContexts } from '../interp/pickContexts.ts';
import { bestPurity, purityAbove } from '../interp/purity.ts';
import { splitHistogram, type SplitHistogram } from '../interp/splitHistogram.ts';
import type { ReportedContext, ReportedDirection, ReportedEffects, ReportedTokenFeature } from '../ports/TokenFeatureReport.ts';
import type { Tokenizer } from '../ports/Tokenizer.ts';
import type { ReadText } from './readText.ts';
import { tokenOffsets } from './tokenOffsets.ts';
import type { RowEffects } from './tokenFeatureEffects.ts';
import type { StudiedActivations } from './tokenFeatureRead.ts';

export interface StudyOptions {
  /** Activation above which a feature counts as active; default 0. */
  readonly threshold: number;
  /** Effects beyond it, in nats, are counted and drawn; default 0.1, as the paper. */
  readonly effectThreshold: number;
  /** Bins of a histogram; default 10, as the paper. */
  readonly bins: number;
  /** Tokens told apart in a histogram; default 6. */
  readonly topTokens: number;
  /** Tokens listed by effect, at either end; default 15. */
  readonly listed: number;
  /** Contexts shown of each kind; default 6. */
  readonly contexts: number;
}

export interface Described {
  readonly weights: DictionaryWeights;
  readonly index: number;
  readonly basis: BasisDirection;
  readonly address: string;
  readonly rank: number;
  readonly place: number | null;
  readonly text: ReadText;
  readonly activations: StudiedActivations;
  readonly effects: { readonly feature: readonly RowEffects[]; readonly basis: readonly RowEffects[] };
  readonly tokenizer: Tokenizer;
  /** Ids whose texts the report needs are added here. */
  readonly named: Set<number>;
}

/** Tokens shown before and after the one a context is about. */
const [BEFORE, AFTER] = [20, 10];

/** Everything reported of one feature, from its activations and effects. */
export function describeFeature(one: Described, options: StudyOptions): ReportedTokenFeature {
  const { weights, address, basis, text, activations, effects } = one;
  const transcodes = weights.config.outputHookPoint !== null;
  const feature = describeDirection(one, `feature ${address}`, activations.feature, effects.feature, transcodes, options);
  const dimension = describeDirection(one, `${basis.sign < 0 ? 'minus ' : ''}dimension ${basis.dimension} of ${weights.config.hookPoint}`, activations.basis, effects.basis, false, options);
  const pattern = text.mask === null ? null : { mask: text.mask, threshold: feature.best?.threshold ?? 0 };
  const contexts = pickContexts(activations.feature, text.cols, options.contexts, pattern).map(({ kind, place }) => contextOf(one, kind, place));
  return { address, hookPoint: weights.config.hookPoint, place: one.place, feature, basis: { ...dimension, ...basis, rank: one.rank }, contexts };
}

function describeDirection({ text, named }: Described, label: string, activations: Float32Array, effects: readonly RowEffects[], transcodes: boolean, options: StudyOptions): ReportedDirection {
  const histogram = splitHistogram(activations, text.ids, { bins: options.bins, top: options.topTokens });
  name(histogram, named);
  return {
    label,
    active: activations.reduce((n, value) => n + (value > 0 ? 1 : 0), 0),
    purity: text.mask === null ? null : purityAbove(activations, text.mask, options.threshold),
    best: text.mask === null ? null : bestPurity(activations, text.mask),
    histogram,
    effects: describeEffects(text, activations, effects, transcodes, named, options),
  };
}

function describeEffects({ ids, cols }: ReadText, activations: Float32Array, rows: readonly RowEffects[], transcodes: boolean, named: Set<number>, { effectThreshold: threshold, bins, topTokens, listed }: StudyOptions): ReportedEffects {
  const effects = rows.flatMap((row) => row.effects);
  const places = rows.flatMap(({ row, from, effects: found }) => found.map((_, i) => row * cols + from + i));
  const next = places.map((place) => ids[place + 1]);
  const summary = effectsByToken(effects, next, places.map((place) => (activations[place] > 0 ? 1 : 0)), { threshold, top: listed, quantile: tQuantile });
  for (const { id } of [...summary.loses, ...summary.gains]) named.add(id);
  const histogramOf = (sign: 1 | -1): SplitHistogram => splitHistogram(effects.map((effect) => (sign * effect > threshold ? sign * effect : 0)), next, { bins, top: topTokens });
  const [positiveHistogram, negativeHistogram] = [histogramOf(1), histogramOf(-1)];
  name(positiveHistogram, named);
  name(negativeHistogram, named);
  return { rows: rows.length, tokens: rows.length * cols, ...summary, positiveHistogram, negativeHistogram, left: transcodes ? null : rows.reduce((most, { left }) => Math.max(most, left), 0) };
}

function name({ parts }: SplitHistogram, named: Set<number>): void {
  for (const { id } of parts) if (id !== null) named.add(id);
}

function contextOf({ text: read, activations, tokenizer }: Described, kind: ReportedContext['kind'], place: number): ReportedContext {
  const { ids, cols, rows } = read;
  const row = Math.floor(place / cols);
  const [from, to] = [Math.max(row * cols, place - BEFORE), Math.min((row + 1) * cols, place + AFTER + 1)];
  const shown = ids.subarray(from, to);
  // Not token by token: a character may be spelt by several.
  const { text, offsets } = tokenOffsets(tokenizer, shown);
  const tokens = Array.from(shown, (_, i) => ({ text: text.slice(offsets[i], offsets[i + 1] ?? text.length), activation: activations.feature[from + i], here: from + i === place }));
  return { kind, row: rows[row], position: place - row * cols, tokens };
}

/** How often the pattern stands in the text, and on which tokens. */
export function tokensOfPattern({ ids, mask }: ReadText, listed: number, named: Set<number>): { tokens: number; byToken: { id: number; count: number }[] } {
  const counts = new Map<number, number>();
  let tokens = 0;
  for (const [i, bit] of (mask ?? []).entries()) {
    if (bit === 0) continue;
    tokens++;
    counts.set(ids[i], (counts.get(ids[i]) ?? 0) + 1);
  }
  const byToken = [...counts].map(([id, count]) => ({ id, count })).sort((a, b) => b.count - a.count || a.id - b.id).slice(0, listed);
  for (const { id } of byToken) named.add(id);
  return { tokens, byToken };
}
