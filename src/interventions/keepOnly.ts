import { activationOf } from '../causal/featureEdit.ts';
import { logSoftmax } from '../causal/divergence.ts';
import { hookOrder, pointsOf, startBefore, usualName } from '../causal/hookOrder.ts';
import { CutDictionary, type Kept } from '../causal/cutDictionary.ts';
import type { DictionaryWeights } from '../domain/dictionary.ts';
import { CallerError, invariant } from '../domain/errors.ts';
import type { HookPoint } from '../domain/hookPoint.ts';
import type { TokenBatch } from '../domain/model.ts';
import type { SparseCodes } from '../domain/sparseCodes.ts';
import type { Edit, SubjectModel } from '../ports/SubjectModel.ts';
import { tapOf } from './runRows.ts';

/** What is read at the last position of a prompt: a feature's activation, or the log-probability of a token. */
export type Behaviour = { readonly kind: 'feature'; readonly weights: DictionaryWeights; readonly index: number } | { readonly kind: 'token'; readonly id: number };

export interface KeepRow {
  readonly ids: Int32Array;
  /** The features of each cut dictionary that stay as they are; rows may share it. */
  readonly kept: Kept;
}

export interface KeepOptions {
  /** What all other features become: 0, or their means [F] by dictionary. */
  readonly ablateTo: 'zero' | ReadonlyMap<DictionaryWeights, Float32Array>;
  /** Whether what the dictionaries do not explain stays in the stream. */
  readonly error: 'keep' | 'remove';
}

/** A place of the network where a dictionary is read, or where a transcoder's reconstruction replaces what has come out. */
interface Stop {
  readonly kind: 'read' | 'replace';
  readonly hook: HookPoint;
  readonly dictionaries: readonly DictionaryWeights[];
}

/**
 * Runs prompts with all features of some dictionaries ablated at every position but the ones a row keeps, and reads one number
 * at each prompt's last token. The same arithmetic as `intervene` with every other feature listed, but only active features cost
 * anything: dictionaries are visited in the order in which the network computes what they read, each reading the stream as
 * the cuts before it left it, so a feature that only a cut awakes is ablated too. Without dictionaries: the model as it is.
 *
 * One batch: rows right-padded to the longest. Holds D numbers per token and point. Throws BAD_INPUT where two dictionaries
 * would have to replace the same stream (error `remove`).
 */
export async function keepOnly(model: SubjectModel, dictionaries: readonly DictionaryWeights[], rows: readonly KeepRow[], read: Behaviour, options: KeepOptions): Promise<Float64Array> {
  const d = model.info.dModel;
  const cols = Math.max(...rows.map(({ ids }) => ids.length));
  const batch: TokenBatch = { rows: rows.length, cols, ids: new Int32Array(rows.length * cols), lengths: Int32Array.from(rows, ({ ids }) => ids.length) };
  rows.forEach(({ ids }, b) => batch.ids.set(ids, b * cols));
  const cuts = new Map(dictionaries.map((weights) => [weights, new CutDictionary(weights, options)]));
  /** What transcoders read, until their reconstruction is put in. */
  const held = new Map<DictionaryWeights, { x: Float32Array; codes: SparseCodes }>();
  let from: { at: HookPoint; residual: Float32Array } | undefined;
  let pending: Edit[] = [];
  const edit = (at: HookPoint, delta: Float32Array): void => {
    if (from !== undefined && hookOrder(at) === hookOrder(from.at)) from.residual.forEach((value, i, all) => (all[i] = value + delta[i]));
    else pending.push({ at, delta });
  };
  for (const { kind, hook, dictionaries: here } of stopsOf(dictionaries, d, options.error)) {
    const start = startBefore(hook);
    const encode = kind === 'read' ? here : [];
    const run = await model.forward({ batch, ...(from === undefined ? {} : { from }), edits: pending, taps: [...new Set([start, hook])], logits: 'none', encode });
    from = { at: start, residual: tapOf(run.taps, start).slice() };
    pending = pending.filter(({ at }) => hookOrder(at) > hookOrder(start));
    const stream = start === hook ? from.residual.slice() : tapOf(run.taps, hook);
    for (const [i, weights] of here.entries()) {
      const { edit: out } = pointsOf(weights.config, d);
      const known = kind === 'read' ? { x: stream, codes: run.codes[i] } : held.get(weights);
      invariant(known !== undefined, 'a transcoder is read before it is written');
      if (kind === 'read' && options.error === 'remove' && out !== hook) held.set(weights, known);
      else edit(out, cuts.get(weights)!.delta(rows.map(({ kept }) => kept), batch, known.codes, known.x, stream));
    }
  }
  return readAtEnds(model, batch, from, pending, read);
}

async function readAtEnds(model: SubjectModel, batch: TokenBatch, from: { at: HookPoint; residual: Float32Array } | undefined, edits: readonly Edit[], read: Behaviour): Promise<Float64Array> {
  const ends = { batch, ...(from === undefined ? {} : { from }), edits };
  const { rows, cols, lengths } = batch;
  if (read.kind === 'token') {
    const { logits } = await model.forward({ ...ends, taps: [], logits: 'last' });
    invariant(logits !== null, 'logits were asked for');
    return Float64Array.from({ length: rows }, (_, b) => logSoftmax(logits, b * model.info.vocabSize, model.info.vocabSize)[read.id]);
  }
  const hook = usualName(read.weights.config.hookPoint);
  const { taps } = await model.forward({ ...ends, taps: [hook], tapsAt: Array.from(lengths, (length) => [length - 1]), logits: 'none' });
  return Float64Array.from({ length: rows }, (_, b) => activationOf(read.weights, read.index, tapOf(taps, hook), (b * cols + lengths[b] - 1) * model.info.dModel));
}

/** In the order of computation; at one point a replacement comes first: it was read before. */
function stopsOf(dictionaries: readonly DictionaryWeights[], d: number, error: KeepOptions['error']): Stop[] {
  const stops = new Map<number, { kind: Stop['kind']; hook: HookPoint; dictionaries: DictionaryWeights[] }>();
  const replaced = new Map<number, DictionaryWeights>();
  for (const weights of dictionaries) {
    const { read, edit } = pointsOf(weights.config, d);
    const add = (kind: Stop['kind'], hook: HookPoint): void => {
      const key = 2 * hookOrder(hook) + (kind === 'read' ? 1 : 0);
      const stop = stops.get(key);
      if (stop === undefined) stops.set(key, { kind, hook, dictionaries: [weights] });
      else stop.dictionaries.push(weights);
    };
    add('read', read);
    if (error === 'keep') continue;
    if (edit !== read) add('replace', edit);
    const other = replaced.get(hookOrder(edit));
    if (other !== undefined) throw new CallerError('BAD_INPUT', `${other.config.name} and ${weights.config.name} cannot both take the place of ${edit}: keep the error terms, or use one of their sets`);
    replaced.set(hookOrder(edit), weights);
  }
  return [...stops].sort(([a], [b]) => a - b).map(([, stop]) => stop);
}
