import { setImmediate } from 'node:timers/promises';
import { addFeatureEdit, patchedActivation, readFeature, vectorNorms } from '../causal/featureEdit.ts';
import { activationAt } from '../causal/activeFeatures.ts';
import { hookOrder, pointsOf, startBefore } from '../causal/hookOrder.ts';
import type { DictionaryWeights } from '../domain/dictionary.ts';
import { invariant } from '../domain/errors.ts';
import type { HookPoint } from '../domain/hookPoint.ts';
import type { TokenBatch } from '../domain/model.ts';
import type { PatchOperation } from '../domain/patch.ts';
import type { SparseCodes } from '../domain/sparseCodes.ts';
import type { Edit, SubjectModel } from '../ports/SubjectModel.ts';

/** One feature to edit, resolved. */
export interface FeatureIntervention {
  readonly weights: DictionaryWeights;
  readonly index: number;
  readonly operation: PatchOperation;
  /** Positions from 0, ascending. */
  readonly positions: readonly number[];
}

export interface Intervention {
  /** Token ids [T]. */
  readonly base: Int32Array;
  /** As many, or null. Needed by replace_from_target. */
  readonly target: Int32Array | null;
  readonly features: readonly FeatureIntervention[];
  /** Positions from 0, ascending, whose logits are wanted. */
  readonly read: readonly number[];
}

export interface InterventionResult {
  /** Logits [read.length, V]. */
  readonly base: Float32Array;
  readonly target: Float32Array | null;
  readonly patched: Float32Array;
  readonly vocabSize: number;
  /** One per feature, in order: activations over the T base positions as read for the edit, and after it. */
  readonly features: readonly { readonly before: Float64Array; readonly after: Float64Array }[];
  /** Mean over positions of ‖x′ − x‖₂, summed over hook points. */
  readonly editMagnitude: number;
}

/** Multiply-adds done on this thread before others get a turn: a few milliseconds. */
const WORK_AT_ONCE = 4_000_000;

/**
 * Runs base (and target) once, then the network again from the first edited hook point, with
 * x′ = x + Σ_j s·(ĉ_j − c_j) f_j there; whatever lies before is shared with the base run. A transcoder's features are read
 * at its hook point and edited at its output hook point.
 *
 * Several features read at one hook point: all read the same x, the edits are summed, whatever their dictionary. Several
 * hook points: they are visited in the order in which they are read, and a feature's c is read from the stream as already
 * edited by the earlier ones, so that after its own edit the stream carries ĉ whatever happened before. Target activations
 * always come from the untouched target run.
 *
 * c is the dictionary's own: behind a threshold, and among the k largest where only those count. Features that are not
 * edited keep what was measured of them: editing one of the k largest lets no other feature in.
 *
 * Throws BAD_DICTIONARY for dictionaries that do not fit the model.
 */
export async function intervene(model: SubjectModel, intervention: Intervention): Promise<InterventionResult> {
  const { base, target, features, read } = intervention;
  const d = model.info.dModel;
  const groups = groupByHook(features, d);
  const taps = new Set<HookPoint>();
  for (const { hook } of groups) taps.add(hook).add(startBefore(hook));
  // One position, the last, comes out of the run itself; others are read from the final residual stream, so that no run
  // ever makes T·V logits.
  const lastOnly = read.length === 1 && read[0] === base.length - 1;
  const final: HookPoint = `resid_post.${model.info.layers - 1}`;
  if (!lastOnly) taps.add(final);
  // In the base prompt later groups are read again, after the edits before them.
  const encode = groups.flatMap(({ ranked }, i) => (i === 0 || target !== null ? ranked : []));
  const clean = await model.forward({ batch: batchOf(target === null ? [base] : [base, target]), taps: [...taps], logits: lastOnly ? 'last' : 'none', encode });
  const cleanCodes = new Map(encode.map((weights, i) => [weights, clean.codes[i]]));

  const [length, prompts] = [base.length, target === null ? 1 : 2];
  const batch = batchOf([base]);
  const activations: { before: Float64Array; after: Float64Array }[] = [];
  /** x′ − x at each point edited, by its order. */
  const changes = new Map<number, Float32Array>();
  /** Where the patched run stands: a residual stream, and edits further on. */
  let from: { at: HookPoint; residual: Float32Array } | null = null;
  let pending: Edit[] = [];
  for (const { hook, ranked, members } of groups) {
    const start = startBefore(hook);
    const inClean = tapOf(clean.taps, hook);
    let x: Float32Array;
    let codes = cleanCodes;
    if (from === null) {
      x = inClean.slice(0, length * d);
      from = { at: start, residual: tapOf(clean.taps, start).slice(0, length * d) };
    } else {
      const moves: boolean = hookOrder(start) > hookOrder(from.at);
      const run = await model.forward({ batch, from, edits: pending, taps: moves ? [start, hook] : [hook], logits: 'none', encode: ranked });
      x = tapOf(run.taps, hook);
      codes = new Map(ranked.map((weights, i) => [weights, run.codes[i]]));
      if (moves) {
        from = { at: start, residual: tapOf(run.taps, start) };
        pending = pending.filter(({ at }) => hookOrder(at) > hookOrder(start));
      }
    }
    /** Edits of this group, by the order of where they are applied. */
    const edits = new Map<number, Edit>();
    let work = 0;
    for (const { place, feature, edit } of members) {
      if ((work += length * d * prompts) > WORK_AT_ONCE) {
        work = 0;
        await setImmediate();
      }
      const { weights, index } = feature;
      const { delta } = getOrMake(edits, hookOrder(edit), () => ({ at: edit, delta: new Float32Array(length * d) }));
      const before = readActivations(weights, index, x, codes, 0, length);
      const inTarget = feature.operation.kind === 'replace_from_target' && prompts === 2 ? readActivations(weights, index, inClean, cleanCodes, length, length) : null;
      const after = before.slice();
      for (const t of feature.positions) {
        after[t] = patchedActivation(feature.operation, before[t], inTarget?.[t]);
        addFeatureEdit(delta, t * d, weights, index, after[t] - before[t]);
      }
      activations[place] = { before, after };
    }
    for (const [order, { at, delta }] of edits) {
      const known = changes.get(order);
      changes.set(order, known === undefined ? delta : sumOf(known, delta));
      if (order === hookOrder(from.at)) from = { at: from.at, residual: sumOf(from.residual, delta) };
      else pending = [...pending, { at, delta }];
    }
  }
  invariant(from !== null, 'an intervention without features');
  const run = await finish(model, { batch, from, edits: pending }, lastOnly, final);
  const logits = lastOnly ? joined(clean.logits, run.logits) : await readOut(model, final, [tapOf(clean.taps, final), run.final], length, prompts + 1, read);
  const size = read.length * model.info.vocabSize;
  invariant(logits.length === (prompts + 1) * size, 'logits of another shape than asked for');
  return {
    base: logits.subarray(0, size),
    target: target === null ? null : logits.subarray(size, 2 * size),
    patched: logits.subarray(prompts * size),
    vocabSize: model.info.vocabSize,
    features: activations,
    editMagnitude: [...changes.values()].reduce((sum, change) => sum + mean(vectorNorms(change, d)), 0),
  };
}

/** Runs the edited stream to the end: to the last position's logits, or to the final residual stream [T, D]. */
async function finish(
  model: SubjectModel,
  state: { batch: TokenBatch; from: { at: HookPoint; residual: Float32Array }; edits: readonly Edit[] },
  lastOnly: boolean,
  final: HookPoint,
): Promise<{ logits: Float32Array | null; final: Float32Array }> {
  if (lastOnly) return { logits: (await model.forward({ ...state, taps: [], logits: 'last' })).logits, final: state.from.residual };
  if (state.from.at === final && state.edits.length === 0) return { logits: null, final: state.from.residual };
  return { logits: null, final: tapOf((await model.forward({ ...state, taps: [final], logits: 'none' })).taps, final) };
}

/** Logits of some positions of several prompts from their final residual streams, each position run as a row of one token: after the last layer positions no longer mix. */
async function readOut(model: SubjectModel, final: HookPoint, streams: readonly Float32Array[], length: number, prompts: number, read: readonly number[]): Promise<Float32Array> {
  const d = model.info.dModel;
  const all = joined(...streams);
  const rows = prompts * read.length;
  const residual = new Float32Array(rows * d);
  for (let p = 0; p < prompts; p++) {
    read.forEach((t, i) => residual.set(all.subarray((p * length + t) * d, (p * length + t + 1) * d), (p * read.length + i) * d));
  }
  const batch: TokenBatch = { rows, cols: 1, ids: new Int32Array(rows), lengths: new Int32Array(rows).fill(1) };
  const { logits } = await model.forward({ batch, from: { at: final, residual }, taps: [], logits: 'last' });
  return joined(logits);
}

function joined(...parts: readonly (Float32Array | null)[]): Float32Array {
  const whole = new Float32Array(parts.reduce((sum, part) => sum + (part?.length ?? 0), 0));
  let at = 0;
  for (const part of parts) {
    invariant(part !== null, 'logits were asked for');
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Features read at one hook point. */
interface HookGroup {
  readonly hook: HookPoint;
  /** Their dictionaries that keep only the k largest activations: a feature is then read by encoding all of them. */
  readonly ranked: DictionaryWeights[];
  readonly members: { readonly place: number; readonly feature: FeatureIntervention; readonly edit: HookPoint }[];
}

/** Features by the hook point they are read at, in the order of computation; names of the same residual stream are one. */
function groupByHook(features: readonly FeatureIntervention[], dModel: number): HookGroup[] {
  const groups = new Map<number, HookGroup>();
  features.forEach((feature, place) => {
    const { weights } = feature;
    const { read: hook, edit } = pointsOf(weights.config, dModel);
    const group = getOrMake(groups, hookOrder(hook), () => ({ hook, ranked: [], members: [] }));
    group.members.push({ place, feature, edit });
    if (weights.config.k !== null && !group.ranked.includes(weights)) group.ranked.push(weights);
  });
  return [...groups].sort(([a], [b]) => a - b).map(([, group]) => group);
}

/** Activations of a feature at `count` positions from row `first` of x or of the codes on. */
function readActivations(weights: DictionaryWeights, index: number, x: Float32Array, codes: ReadonlyMap<DictionaryWeights, SparseCodes>, first: number, count: number): Float64Array {
  if (weights.config.k === null) return readFeature(weights, index, x, first, count);
  const encoded = codes.get(weights);
  invariant(encoded !== undefined, `dictionary ${weights.config.name} was not encoded`);
  return Float64Array.from({ length: count }, (_, t) => activationAt(encoded, first + t, index));
}

function getOrMake<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = make()));
  return value;
}

function sumOf(a: Float32Array, b: Float32Array): Float32Array {
  return a.map((value, i) => value + b[i]);
}

function batchOf(rows: readonly Int32Array[]): TokenBatch {
  const cols = rows[0].length;
  const ids = new Int32Array(rows.length * cols);
  rows.forEach((row, b) => ids.set(row, b * cols));
  return { rows: rows.length, cols, ids, lengths: new Int32Array(rows.length).fill(cols) };
}

function tapOf(taps: ReadonlyMap<HookPoint, Float32Array>, hook: HookPoint): Float32Array {
  const tap = taps.get(hook);
  invariant(tap !== undefined, `the model gave no tap at ${hook}`);
  return tap;
}

function mean(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
