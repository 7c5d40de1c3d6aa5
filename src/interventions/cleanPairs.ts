import { logSoftmax } from '../causal/divergence.ts';
import { pointsOf, startBefore } from '../causal/hookOrder.ts';
import { tokenBatches, type BatchBounds } from '../causal/tokenBatches.ts';
import type { DictionaryWeights } from '../domain/dictionary.ts';
import { CallerError, invariant } from '../domain/errors.ts';
import type { HookPoint } from '../domain/hookPoint.ts';
import type { TokenBatch } from '../domain/model.ts';
import type { SubjectModel } from '../ports/SubjectModel.ts';
import { forwardRun, rowsOf, type RunRows } from './runRows.ts';

/** Two prompts of one length, as token ids. */
export interface PromptPair {
  readonly base: Int32Array;
  readonly target: Int32Array;
}

/** What the untouched runs of a pair gave. */
export interface CleanPair {
  readonly length: number;
  readonly base: RunRows;
  readonly target: RunRows;
  /** Log-probabilities of the next token after the last position, [V]. */
  readonly baseLogProbs: Float64Array;
  readonly targetLogProbs: Float64Array;
}

/** Logits of one forward run: 64 MiB. */
const LOGITS_AT_ONCE = 2 ** 24;

/** What one forward run may hold. */
export function runBounds(model: SubjectModel, tokens: number): BatchBounds {
  return { tokens, rows: Math.max(2, Math.floor(LOGITS_AT_ONCE / model.info.vocabSize)) };
}

/**
 * Runs every prompt of the pairs once, unedited, and keeps what patching features of these dictionaries needs: the residual
 * streams where edited runs start, codes, last predictions. Memory: D numbers per token and distinct start, and 4·V·8 bytes a pair.
 *
 * Throws BAD_INPUT for prompts of unequal length, BAD_DICTIONARY for one that does not fit the model.
 */
export async function cleanPairs(model: SubjectModel, pairs: readonly PromptPair[], dictionaries: readonly DictionaryWeights[], batchTokens = 4096): Promise<CleanPair[]> {
  const taps = new Set<HookPoint>(dictionaries.map(({ config }) => startBefore(pointsOf(config, model.info.dModel).edit)));
  for (const [i, { base, target }] of pairs.entries()) {
    if (base.length !== target.length) throw new CallerError('BAD_INPUT', `pair ${i}: expected prompts of one length, found ${base.length} and ${target.length} tokens`);
  }
  const prompts = pairs.flatMap(({ base, target }) => [base, target]);
  const found: { readonly rows: RunRows; readonly logProbs: Float64Array }[] = [];
  const places = prompts.keys().toArray().sort((a, b) => prompts[a].length - prompts[b].length || a - b);
  for (const part of tokenBatches(places, (p) => prompts[p].length, runBounds(model, batchTokens))) {
    const cols = Math.max(...part.map((p) => prompts[p].length));
    const batch: TokenBatch = { rows: part.length, cols, ids: new Int32Array(part.length * cols), lengths: Int32Array.from(part, (p) => prompts[p].length) };
    part.forEach((p, b) => batch.ids.set(prompts[p], b * cols));
    const { taps: streams, codes, logits } = await forwardRun(model, { batch, taps: [...taps], logits: 'last', encode: dictionaries });
    invariant(logits !== null, 'logits were asked for');
    for (const [b, rows] of rowsOf({ taps: streams, codes, logits: null }, batch).entries()) {
      found[part[b]] = { rows, logProbs: logSoftmax(logits, b * model.info.vocabSize, model.info.vocabSize) };
    }
  }
  return pairs.map(({ base: { length } }, i) => ({ length, base: found[2 * i].rows, target: found[2 * i + 1].rows, baseLogProbs: found[2 * i].logProbs, targetLogProbs: found[2 * i + 1].logProbs }));
}
