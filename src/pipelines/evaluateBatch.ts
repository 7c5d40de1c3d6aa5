import { pointsOf, startBefore } from '../causal/hookOrder.ts';
import type { PredictionSums } from '../dictionary/spliceScores.ts';
import type { DictionaryConfig } from '../domain/dictionary.ts';
import { invariant } from '../domain/errors.ts';
import { residualBoundary } from '../domain/hookPoint.ts';
import type { HookPoint } from '../domain/hookPoint.ts';
import type { TokenBatch } from '../domain/model.ts';
import { VarianceMeter } from '../math/varianceMeter.ts';
import type { DictionaryReading, OpenDictionary } from '../ports/DictionaryReader.ts';
import type { PredictionScorer } from '../ports/PredictionScorer.ts';
import type { ForwardRequest, SubjectModel } from '../ports/SubjectModel.ts';
import type { TokenRows } from '../ports/TokenRows.ts';
import { inOrder } from './inOrder.ts';

/** What a batch is read with. */
export interface BatchInput {
  readonly model: SubjectModel;
  readonly tokens: TokenRows;
  /** First positions of every row left as they are. */
  readonly skipPositions: number;
}

/** Activations at a hook point over all positions measured. */
export interface ActivationStatistics {
  /** [D]. */
  readonly mean: Float32Array;
  /** Σ‖x − x̄‖². */
  readonly variance: number;
  /** Forward runs it took. */
  readonly runs: number;
}

/** Mean and variance at `hook`; the model runs up to there. */
export async function measureActivations(input: BatchInput, hook: HookPoint, batches: readonly Uint32Array[]): Promise<ActivationStatistics> {
  const { model } = input;
  const meter = new VarianceMeter(model.info.dModel);
  const taps = inOrder(batches, model.concurrency + 1, async (rows) => {
    const batch = await batchOf(input, rows);
    const result = await model.forward({ batch, taps: [hook], logits: 'none' });
    return kept(tapOf(result.taps, hook), batch, input);
  });
  for await (const vectors of taps) meter.add(vectors);
  return { mean: Float32Array.from(meter.mean()), variance: meter.sumOfSquares(), runs: batches.length };
}

/** Where activations are replaced, and from where the model runs on. */
export interface SplicingSite {
  readonly hook: HookPoint;
  /** The residual stream at or right before the hook point. */
  readonly start: HookPoint;
  /** Whether the hook point is that stream. */
  readonly residual: boolean;
  /** Mean activation [D]. */
  readonly mean: Float32Array;
}

export function splicingSite(hook: HookPoint, mean: Float32Array): SplicingSite {
  return { hook, start: startBefore(hook), residual: residualBoundary(hook) !== undefined, mean };
}

export interface SplicedBatch {
  readonly rows: number;
  readonly original: PredictionSums;
  readonly zero: PredictionSums;
  readonly mean: PredictionSums;
  readonly dictionaries: readonly {
    readonly reading: DictionaryReading;
    /** What x̂ stands for [n, D], as long as the reading. */
    readonly targets: Float32Array;
    readonly predictions: PredictionSums;
  }[];
}

/**
 * One batch of rows: the model as it is, then with 0, with the mean, and with every dictionary's x̂ in the place of the
 * activations at the site. All dictionaries write there.
 */
export async function spliceBatch(
  input: BatchInput & { readonly scorer: PredictionScorer },
  site: SplicingSite,
  members: readonly { readonly config: DictionaryConfig; readonly dictionary: OpenDictionary }[],
  rows: Uint32Array,
): Promise<SplicedBatch> {
  const { model, scorer, skipPositions } = input;
  const { hook, start } = site;
  const D = model.info.dModel;
  const batch = await batchOf(input, rows);
  const taps = [...new Set([start, hook, ...members.map(({ config }) => pointsOf(config, D).read)])];
  const clean = await model.forward({ batch, taps, logits: 'all' });
  invariant(clean.logits !== null, 'the model gives logits');
  const scores = await scorer.score({ ids: batch.ids, rows: batch.rows, cols: batch.cols, vocabSize: model.info.vocabSize, from: skipPositions }, clean.logits);
  const residual = tapOf(clean.taps, start);
  const activations = tapOf(clean.taps, hook);

  const run = async (replacement: (position: number, d: number) => number): Promise<PredictionSums> => {
    const { logits } = await model.forward(replaced({ batch, site, residual, activations, skip: skipPositions, D }, replacement));
    return await scores.replaced(logits!);
  };
  const zero = await run(() => 0);
  const mean = await run((_, d) => site.mean[d]!);
  const targets = kept(activations, batch, input);
  const dictionaries: SplicedBatch['dictionaries'][number][] = [];
  for (const { config, dictionary } of members) {
    const { read, edit } = pointsOf(config, D);
    invariant(edit === hook, `dictionary ${config.name} writes at ${hook}`);
    const vectors = read === hook ? targets : kept(tapOf(clean.taps, read), batch, input);
    const reading = await dictionary.read(vectors, config.outputHookPoint === null ? undefined : targets, { reconstruction: true });
    const reconstruction = reading.reconstruction!;
    dictionaries.push({ reading, targets, predictions: await run((position, d) => reconstruction[position * D + d]!) });
  }
  return { rows: batch.rows, original: scores.original, zero, mean, dictionaries };
}

interface Spliced {
  readonly batch: TokenBatch;
  readonly site: SplicingSite;
  readonly residual: Float32Array;
  readonly activations: Float32Array;
  readonly skip: number;
  readonly D: number;
}

/**
 * The run with x′ in the place of x at the site. A residual stream is replaced itself; a branch's output by adding x′ − x.
 * @param replacement x′ by position, counted over those not skipped, and dimension.
 */
function replaced({ batch, site, residual, activations, skip, D }: Spliced, replacement: (position: number, d: number) => number): ForwardRequest {
  const { rows, cols } = batch;
  const next = site.residual ? activations.slice() : new Float32Array(activations.length);
  let position = 0;
  for (let b = 0; b < rows; b++) {
    for (let t = skip; t < cols; t++, position++) {
      const at = (b * cols + t) * D;
      for (let d = 0; d < D; d++) next[at + d] = site.residual ? replacement(position, d) : replacement(position, d) - activations[at + d]!;
    }
  }
  const from = { at: site.start, residual: site.residual ? next : residual };
  return { batch, from, edits: site.residual ? [] : [{ at: site.hook, delta: next }], taps: [], logits: 'all' };
}

async function batchOf({ tokens }: BatchInput, rows: Uint32Array): Promise<TokenBatch> {
  return { rows: rows.length, cols: tokens.cols, ids: await tokens.read(rows), lengths: new Int32Array(rows.length).fill(tokens.cols) };
}

/** The vectors [n, D] of the positions that are not skipped, of a tap [B, T, D]. */
function kept(tap: Float32Array, { rows, cols }: TokenBatch, { skipPositions: skip }: BatchInput): Float32Array {
  if (skip === 0) return tap;
  const D = tap.length / (rows * cols);
  const out = new Float32Array(rows * (cols - skip) * D);
  for (let b = 0; b < rows; b++) out.set(tap.subarray((b * cols + skip) * D, (b + 1) * cols * D), b * (cols - skip) * D);
  return out;
}

function tapOf(taps: ReadonlyMap<HookPoint, Float32Array>, hook: HookPoint): Float32Array {
  const tap = taps.get(hook);
  invariant(tap !== undefined, `the model gives ${hook}`);
  return tap;
}
