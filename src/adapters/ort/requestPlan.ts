import { outputHookPointOf, type DictionaryWeights } from '../../domain/dictionary.ts';
import { CallerError, invariant } from '../../domain/errors.ts';
import type { HookPoint } from '../../domain/hookPoint.ts';
import type { TokenBatch } from '../../domain/model.ts';
import type { LanguageModel } from '../../lm/architecture.ts';
import { depthOf, layersBefore, pointOf } from '../../lm/point.ts';
import type { Point } from '../../lm/point.ts';
import type { Edit, ForwardRequest } from '../../ports/SubjectModel.ts';
import type { SharedEncoder, WorkerTask } from './messages.ts';

/** Sizes a request is checked against. */
export type ModelSizes = Pick<LanguageModel, 'layers' | 'dModel' | 'vocabSize' | 'contextLength'>;

/**
 * Checks a request and puts it in a worker's terms. Throws BAD_INPUT, TEXT_TOO_LONG, UNSUPPORTED, BAD_DICTIONARY, with the
 * offending field. Arrays that are not copied are only read.
 */
export function planRequest(
  request: ForwardRequest,
  sizes: ModelSizes,
  share: (dictionary: DictionaryWeights) => SharedEncoder,
): WorkerTask {
  const { batch } = request;
  checkShape(batch, sizes);
  const count = batch.rows * batch.cols * sizes.dModel;
  const start = request.from === undefined ? 0 : checkStart(request.from, sizes, count);

  const pointAfterStart = (hook: HookPoint, field: readonly string[]): Point => {
    const point = pointOf(hook, sizes.layers);
    if (depthOf(point) < depthOf(`stream.${start}`)) {
      throw new CallerError('BAD_INPUT', `${hook} lies before ${request.from!.at}, where the run starts`, { field });
    }
    return point;
  };
  const keep = request.taps.map((hook, i) => pointAfterStart(hook, ['taps', String(i)]));
  const encode = (request.encode ?? []).map((dictionary, i) => {
    const field = ['encode', String(i)];
    checkDictionary(dictionary, sizes, field);
    return { at: pointAfterStart(dictionary.config.hookPoint, field), encoder: share(dictionary) };
  });
  const taps = [...new Set([...keep, ...encode.map(({ at }) => at)])];
  if (taps.length === 0 && request.logits === 'none') {
    throw new CallerError('BAD_INPUT', 'nothing is asked for: expected taps, encode or logits', { field: ['taps'] });
  }
  const end = request.logits === 'none' ? Math.max(...taps.map(depthOf)) : Infinity;
  const deltas = sumDeltas(request.edits ?? [], pointAfterStart, count).filter(([point]) => depthOf(point) <= end);

  return {
    spec: { from: request.from === undefined ? null : start, taps, sites: deltas.map(([point]) => point), logits: request.logits },
    rows: batch.rows,
    cols: batch.cols,
    lengths: batch.lengths,
    ids: request.from === undefined ? checkedIds(batch, sizes) : null,
    residual: request.from?.residual ?? null,
    deltas,
    tapsAt: checkedPlaces(request.tapsAt, batch),
    keep: [...new Set(keep)],
    encode,
  };
}

function checkedPlaces(tapsAt: ForwardRequest['tapsAt'], { rows, lengths }: TokenBatch): WorkerTask['tapsAt'] {
  if (tapsAt === undefined) return null;
  const fits = (at: readonly number[], b: number): boolean => at.every((t, i) => Number.isInteger(t) && t < lengths[b] && t > (i === 0 ? -1 : at[i - 1]));
  if (tapsAt.length !== rows || !tapsAt.every(fits)) throw new CallerError('BAD_INPUT', 'tapsAt: expected ascending positions inside each row', { field: ['tapsAt'] });
  return tapsAt;
}

function checkShape({ rows, cols, lengths }: TokenBatch, sizes: ModelSizes): void {
  const bad = (message: string): never => {
    throw new CallerError('BAD_INPUT', message, { field: ['batch'] });
  };
  if (!Number.isInteger(rows) || rows < 1) bad(`batch.rows: expected a whole number of at least 1, found ${rows}`);
  if (!Number.isInteger(cols) || cols < 1) bad(`batch.cols: expected a whole number of at least 1, found ${cols}`);
  if (cols > sizes.contextLength) {
    throw new CallerError(
      'TEXT_TOO_LONG',
      `the text has ${cols} tokens, the model reads at most ${sizes.contextLength}: shorten it or split it`,
      { field: ['batch'] },
    );
  }
  if (lengths.length !== rows) bad(`batch.lengths: expected ${rows} entries, found ${lengths.length}`);
  for (const [b, length] of lengths.entries()) {
    if (length < 1 || length > cols) bad(`batch.lengths[${b}]: expected 1 to ${cols}, found ${length}`);
  }
}

/** A copy of the ids with zeros as padding, whatever was there. */
function checkedIds({ rows, cols, ids, lengths }: TokenBatch, sizes: ModelSizes): Int32Array {
  if (ids.length !== rows * cols) {
    throw new CallerError('BAD_INPUT', `batch.ids: expected ${rows} x ${cols} = ${rows * cols} ids, found ${ids.length}`, { field: ['batch'] });
  }
  const out = new Int32Array(rows * cols);
  for (let b = 0; b < rows; b++) {
    for (let t = 0; t < lengths[b]; t++) {
      const id = ids[b * cols + t];
      if (id < 0 || id >= sizes.vocabSize) {
        throw new CallerError('BAD_INPUT', `batch.ids: row ${b}, position ${t}: expected an id from 0 to ${sizes.vocabSize - 1}, found ${id}`, { field: ['batch'] });
      }
      out[b * cols + t] = id;
    }
  }
  return out;
}

function checkStart(from: NonNullable<ForwardRequest['from']>, sizes: ModelSizes, count: number): number {
  const field = ['from'];
  const point = pointOf(from.at, sizes.layers);
  if (!point.startsWith('stream.')) {
    throw new CallerError('BAD_INPUT', `from.at: expected embed, resid_pre.LAYER or resid_post.LAYER, found ${from.at}`, { field });
  }
  checkNumbers(from.residual, count, 'from.residual', field);
  return layersBefore(point);
}

/** Checks length, and that every number is finite. */
function checkNumbers(data: Float32Array, count: number, what: string, field: readonly string[]): void {
  if (data.length !== count) {
    throw new CallerError('BAD_INPUT', `${what}: expected B x T x D = ${count} numbers, found ${data.length}`, { field });
  }
  // A loop, because `every` is some ten times slower and this runs on the caller's thread.
  for (let i = 0; i < data.length; i++) {
    if (!Number.isFinite(data[i])) throw new CallerError('BAD_INPUT', `${what}: holds a number that is not finite`, { field });
  }
}

/** One delta a point: edits at two names of one point, or twice at one, add up. */
function sumDeltas(
  edits: readonly Edit[],
  pointOfEdit: (hook: HookPoint, field: readonly string[]) => Point,
  count: number,
): (readonly [Point, Float32Array])[] {
  const sums = new Map<Point, Float32Array>();
  for (const [i, { at, delta }] of edits.entries()) {
    const field = ['edits', String(i)];
    const point = pointOfEdit(at, field);
    checkNumbers(delta, count, `edits[${i}].delta`, field);
    const known = sums.get(point);
    sums.set(point, known === undefined ? delta : known.map((value, j) => value + delta[j]));
  }
  return [...sums];
}

/** Shapes and ranges of everything but the numbers of the matrices, whatever the architecture. */
export function checkDictionary(dictionary: DictionaryWeights, sizes: ModelSizes, field: readonly string[]): void {
  const { config, encoder, encoderBias, threshold, decoder, decoderBias, skip } = dictionary;
  const { dIn, dOut, nFeatures, inputScale, outputScale, k, name } = config;
  const bad = (message: string): never => {
    throw new CallerError('BAD_DICTIONARY', `dictionary ${name}: ${message}`, { field });
  };
  // Every hook point is as wide as the residual stream.
  if (dIn !== sizes.dModel) bad(`reads vectors of ${dIn} numbers, the model's have ${sizes.dModel}`);
  if (dOut !== sizes.dModel) bad(`writes vectors of ${dOut} numbers, the model's have ${sizes.dModel}`);
  const [reads, writes] = [pointOf(config.hookPoint, sizes.layers), pointOf(outputHookPointOf(config), sizes.layers)];
  if (depthOf(writes) < depthOf(reads)) bad(`reads at ${config.hookPoint} and writes at ${config.outputHookPoint}, which comes before: expected a later point`);
  if (encoder.length !== nFeatures * dIn) bad(`encoder: expected ${nFeatures} x ${dIn} numbers, found ${encoder.length}`);
  if (encoderBias.length !== nFeatures) bad(`encoder bias: expected ${nFeatures} numbers, found ${encoderBias.length}`);
  if (decoder.length !== nFeatures * dOut) bad(`decoder: expected ${nFeatures} x ${dOut} numbers, found ${decoder.length}`);
  if (decoderBias.length !== dOut) bad(`decoder bias: expected ${dOut} numbers, found ${decoderBias.length}`);
  if (skip !== null && skip.length !== dOut * dIn) bad(`linear path: expected ${dOut} x ${dIn} numbers, found ${skip.length}`);
  if (threshold !== null) {
    if (threshold.length !== nFeatures) bad(`thresholds: expected ${nFeatures} numbers, found ${threshold.length}`);
    // Infinity shuts a feature off.
    const odd = threshold.findIndex((theta) => !(theta >= 0));
    if (odd >= 0) bad(`threshold of feature ${odd}: expected a number of at least 0, found ${threshold[odd]}`);
  }
  if (k !== null && !(Number.isInteger(k) && k >= 1)) bad(`k: expected a whole number of at least 1, or none, found ${k}`);
  for (const [what, scale] of [['input', inputScale], ['output', outputScale]] as const) {
    if (!(scale > 0 && Number.isFinite(scale))) bad(`${what} scale: expected a positive number, found ${scale}`);
  }
  invariant(Number.isInteger(nFeatures) && nFeatures > 0, 'a dictionary has features');
}
