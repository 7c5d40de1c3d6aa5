import { comparePredictions } from '../causal/comparePredictions.ts';
import { NextToken } from '../causal/nextToken.ts';
import { CallerError, invariant } from '../domain/errors.ts';
import type { TokenBatch } from '../domain/model.ts';
import type { SubjectModel } from '../ports/SubjectModel.ts';
import { finalPoint } from './cleanRuns.ts';
import type { EditedRow } from './editedRuns.ts';
import type { InterventionResult } from './intervention.ts';
import { tapOf, type RunRows } from './runRows.ts';
import type { Turns } from './turns.ts';

/** Work of a softmax and two divergences per token of the vocabulary, in multiply-adds. */
const EXPONENTIALS = 16;

type Predictions = Pick<InterventionResult, 'predictions' | 'logits'>;

/** One position of one intervention: where each run's prediction there is to be found. */
interface Item {
  /** Row of the batch, and place among its positions. */
  readonly row: number;
  readonly i: number;
  readonly position: number;
  readonly base: RunRows;
  readonly target: RunRows | null;
  /** The base's where nothing was edited. */
  readonly patched: RunRows;
}

/** Logits [V] of one run at one position: `data` from `at` on. */
type LogitsOf = (rows: RunRows, position: number) => { readonly data: Float32Array; readonly at: number };

/**
 * Compares the predictions of a batch of edited runs with those of the clean ones. Logits are made for at most `maxRows`
 * positions at once, each distinct one of a clean run once among neighbours.
 */
export async function predictions(model: SubjectModel, batch: readonly EditedRow[], clean: ReadonlyMap<number, RunRows>, maxRows: number, turns: Turns): Promise<Predictions[]> {
  const vocab = model.info.vocabSize;
  const out = batch.map(({ planned: { intervention } }): { predictions: InterventionResult['predictions'][number][]; logits: InterventionResult['logits'] } => {
    const { measures, target } = intervention;
    const size = (measures.positions ?? []).length * vocab;
    const make = (): Float32Array => new Float32Array(size);
    return {
      predictions: [],
      logits: measures.logits === true ? { base: make(), target: target === null ? null : make(), patched: make() } : null,
    };
  });
  const items = itemsOf(batch, clean);
  const perChunk = Math.max(1, Math.floor(maxRows / 3));
  const last = batch[0].planned.predict === 'last';
  const [basePredictions, targetPredictions] = [new LatestOnly(vocab), new LatestOnly(vocab)];
  for (let from = 0; from < items.length; from += perChunk) {
    const chunk = items.slice(from, from + perChunk);
    const logitsOf = last ? lastLogits(vocab) : await readOut(model, chunk);
    for (const { row, i, position, base, target, patched } of chunk) {
      const { planned } = batch[row];
      const { measures } = planned.intervention;
      if (turns.due(vocab * (EXPONENTIALS + 4 * (measures.topTokens ?? 0) + 2 * (measures.tokens ?? []).length))) await turns.give();
      const [inBase, inPatched] = [logitsOf(base, position), logitsOf(patched, position)];
      const inTarget = target === null ? null : logitsOf(target, position);
      const before = basePredictions.of(base, position, inBase);
      const after = patched === base ? before : new NextToken(inPatched.data, inPatched.at, vocab);
      checkDefined(before, after, planned.name);
      const wanted = inTarget === null || target === null || measures.klFromTarget !== true ? null : targetPredictions.of(target, position, inTarget);
      invariant(wanted?.finite !== false, 'the model gave logits that are not finite on an unedited prompt');
      const next = position + 1 < planned.ids.length ? planned.ids[position + 1] : null;
      out[row].predictions[i] = { position, ...comparePredictions(measures, before, wanted, after, next) };
      const { logits } = out[row];
      if (logits === null) continue;
      logits.base.set(inBase.data.subarray(inBase.at, inBase.at + vocab), i * vocab);
      logits.patched.set(inPatched.data.subarray(inPatched.at, inPatched.at + vocab), i * vocab);
      if (inTarget !== null) logits.target?.set(inTarget.data.subarray(inTarget.at, inTarget.at + vocab), i * vocab);
    }
  }
  return out;
}

/** Every position of every row, those of one prompt and position side by side, so that the clean prediction is made once for all. */
function itemsOf(batch: readonly EditedRow[], clean: ReadonlyMap<number, RunRows>): Item[] {
  const cleanOf = (prompt: number): RunRows => {
    const rows = clean.get(prompt);
    invariant(rows !== undefined, `prompt ${prompt} was not run`);
    return rows;
  };
  const items = batch.flatMap(({ planned: { intervention }, end }, row) => {
    const base = cleanOf(intervention.prompt);
    const target = intervention.target === null ? null : cleanOf(intervention.target);
    return (intervention.measures.positions ?? []).map((position, i): Item => ({ row, i, position, base, target, patched: end ?? base }));
  });
  const promptOf = ({ row }: Item): number => batch[row].planned.intervention.prompt;
  return items.sort((a, b) => promptOf(a) - promptOf(b) || a.position - b.position || a.row - b.row);
}

/** Runs that gave their last position's logits. */
function lastLogits(vocab: number): LogitsOf {
  return ({ run, row }) => {
    invariant(run.logits !== null, 'logits were asked for');
    return { data: run.logits, at: row * vocab };
  };
}

/** Logits from the final residual streams, each position run as a row of one token: after the last layer positions no longer mix. */
async function readOut(model: SubjectModel, items: readonly Item[]): Promise<LogitsOf> {
  const { dModel: d, vocabSize } = model.info;
  const final = finalPoint(model);
  const found = new Map<Float32Array, Map<number, number>>();
  const vectors: Float32Array[] = [];
  const add = ({ run, first }: RunRows, position: number): void => {
    const stream = tapOf(run.taps, final);
    let known = found.get(stream);
    if (known === undefined) found.set(stream, (known = new Map()));
    if (known.has(first + position)) return;
    known.set(first + position, vectors.length);
    vectors.push(stream.subarray((first + position) * d, (first + position + 1) * d));
  };
  for (const { base, position } of items) add(base, position);
  for (const { target, position } of items) if (target !== null) add(target, position);
  for (const { patched, position } of items) add(patched, position);
  const residual = new Float32Array(vectors.length * d);
  vectors.forEach((vector, row) => residual.set(vector, row * d));
  const batch: TokenBatch = { rows: vectors.length, cols: 1, ids: new Int32Array(vectors.length), lengths: new Int32Array(vectors.length).fill(1) };
  const { logits } = await model.forward({ batch, from: { at: final, residual }, taps: [], logits: 'last' });
  invariant(logits !== null && logits.length === vectors.length * vocabSize, 'logits of another shape than asked for');
  return ({ run, first }, position) => {
    const row = found.get(tapOf(run.taps, final))?.get(first + position);
    invariant(row !== undefined, 'a position was not read out');
    return { data: logits, at: row * vocabSize };
  };
}

/** The prediction asked for last: its neighbours ask for the same. */
class LatestOnly {
  readonly #vocab: number;
  #latest: { readonly rows: RunRows; readonly position: number; readonly prediction: NextToken } | undefined;

  constructor(vocab: number) {
    this.#vocab = vocab;
  }

  of(rows: RunRows, position: number, { data, at }: ReturnType<LogitsOf>): NextToken {
    if (this.#latest?.rows !== rows || this.#latest.position !== position) this.#latest = { rows, position, prediction: new NextToken(data, at, this.#vocab) };
    return this.#latest.prediction;
  }
}

/** An edit can be so large that the network's numbers overflow; what follows is then no distribution. */
function checkDefined(base: NextToken, patched: NextToken, name: string): void {
  invariant(base.finite, 'the model gave logits that are not finite on an unedited prompt');
  if (patched.finite) return;
  throw new CallerError('BAD_INPUT', `${name}the patched run overflows: its logits are not finite; choose smaller values or factors`, { field: ['features'] });
}
