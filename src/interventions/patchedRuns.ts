import { hookOrder, pointsOf, startBefore } from '../causal/hookOrder.ts';
import { klToTarget } from '../causal/klToTarget.ts';
import { tokenBatches } from '../causal/tokenBatches.ts';
import type { DictionaryWeights } from '../domain/dictionary.ts';
import { CallerError, invariant } from '../domain/errors.ts';
import { residualBoundary, type HookPoint } from '../domain/hookPoint.ts';
import type { TokenBatch } from '../domain/model.ts';
import type { ForwardRequest, SubjectModel } from '../ports/SubjectModel.ts';
import { finalPoint } from './cleanRuns.ts';
import { runBounds, type CleanPair } from './cleanPairs.ts';
import { tapOf } from './runRows.ts';

/** One edited run of one prompt: what is added to its stream, [T, D] or, where only the last position counts, that one of it. */
export interface PatchedRow {
  readonly prompt: number;
  readonly delta: Float32Array;
}

/** What was run. */
export interface RunCost {
  /** Forward runs, and the prompts in them. */
  runs: number;
  rows: number;
}

/** Fewest tokens worth a thread of their own. */
const LEAST_TOKENS = 256;

/**
 * Runs prompts from the residual stream before a dictionary's edit point to the end, with edits: the part of the network
 * before is run once for all (cleanPairs).
 */
export class PatchedRuns {
  readonly pairs: readonly CleanPair[];
  readonly cost: RunCost = { runs: 0, rows: 0 };
  /** Whether edits are made after the last layer, where only the last position's vector reaches the prediction. */
  readonly lastOnly: boolean;
  readonly edit: HookPoint;
  readonly #model: SubjectModel;
  readonly #start: HookPoint;
  readonly #batchTokens: number;

  constructor(model: SubjectModel, pairs: readonly CleanPair[], weights: DictionaryWeights, batchTokens: number) {
    this.#model = model;
    this.pairs = pairs;
    this.edit = pointsOf(weights.config, model.info.dModel).edit;
    this.#start = startBefore(this.edit);
    this.lastOnly = hookOrder(this.edit) === hookOrder(finalPoint(model));
    this.#batchTokens = batchTokens;
  }

  get width(): number {
    return this.#model.info.dModel;
  }

  /** Tokens that go through the network in one call at most; more are given in several. */
  get tokensAtOnce(): number {
    return this.#batchTokens * this.#model.concurrency;
  }

  /** Tokens that keep all threads busy: from here on a run takes time in proportion to its tokens. */
  get tokensAhead(): number {
    return Math.min(this.#batchTokens, LEAST_TOKENS) * this.#model.concurrency;
  }

  /** Tokens of an edited run of this prompt. */
  lengthOf(prompt: number): number {
    return this.lastOnly ? 1 : this.pairs[prompt].length;
  }

  /** KL(patched‖target) at the last position of each row. Throws BAD_DICTIONARY when an edit overflows. */
  async kl(rows: readonly PatchedRow[]): Promise<Float64Array> {
    const found = new Float64Array(rows.length);
    const total = rows.reduce((sum, { prompt }) => sum + this.lengthOf(prompt), 0);
    const tokens = Math.min(this.#batchTokens, Math.max(LEAST_TOKENS, Math.ceil(total / this.#model.concurrency)));
    const sorted = rows.keys().toArray().sort((a, b) => this.lengthOf(rows[a].prompt) - this.lengthOf(rows[b].prompt) || a - b);
    const batches = tokenBatches(sorted, (row) => this.lengthOf(rows[row].prompt), runBounds(this.#model, tokens));
    await Promise.all(
      batches.map(async (part) => {
        const { logits } = await this.#model.forward({ ...this.requestOf(part.map((row) => rows[row])), taps: [], logits: 'last' });
        invariant(logits !== null, 'logits were asked for');
        part.forEach((row, b) => (found[row] = klToTarget(logits, b * this.#model.info.vocabSize, this.pairs[rows[row].prompt].targetLogProbs)));
      }),
    );
    this.cost.runs += batches.length;
    this.cost.rows += rows.length;
    const bad = found.findIndex((kl) => !Number.isFinite(kl));
    if (bad >= 0) throw new CallerError('BAD_DICTIONARY', `prompt ${rows[bad].prompt} patched at ${this.edit}: the logits are not finite, so the dictionary's activations or directions are too large`);
    return found;
  }

  /** The rows as a right-padded batch that starts from the stream before the edit point, with the edits in it. */
  requestOf(rows: readonly PatchedRow[]): Pick<ForwardRequest, 'batch' | 'edits'> & Required<Pick<ForwardRequest, 'from'>> {
    const d = this.width;
    const cols = Math.max(...rows.map(({ prompt }) => this.lengthOf(prompt)));
    const batch: TokenBatch = { rows: rows.length, cols, ids: new Int32Array(rows.length * cols), lengths: Int32Array.from(rows, ({ prompt }) => this.lengthOf(prompt)) };
    const residual = new Float32Array(rows.length * cols * d);
    const inPlace = residualBoundary(this.edit) !== undefined;
    const edit = inPlace ? null : new Float32Array(residual.length);
    for (const [b, { prompt, delta }] of rows.entries()) {
      const { run, first, length } = this.pairs[prompt].base;
      const from = (first + (this.lastOnly ? length - 1 : 0)) * d;
      const stream = tapOf(run.taps, this.#start);
      const to = b * cols * d;
      if (edit === null) for (let i = 0; i < delta.length; i++) residual[to + i] = stream[from + i] + delta[i];
      else residual.set(stream.subarray(from, from + delta.length), to);
      edit?.set(delta, to);
    }
    return { batch, from: { at: this.#start, residual }, ...(edit === null ? {} : { edits: [{ at: this.edit, delta: edit }] }) };
  }
}
