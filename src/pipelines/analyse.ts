import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { stateToTensors, tensorsToState, type FloatTensors } from '../activations/collectorTensors.ts';
import { FeatureCollector } from '../activations/featureCollector.ts';
import { logitDirections, unitRows } from '../activations/logitDirections.ts';
import { topProducts, type TopProducts } from '../activations/topProducts.ts';
import { pointsOf } from '../causal/hookOrder.ts';
import type { DictionaryWeights } from '../domain/dictionary.ts';
import { CallerError } from '../domain/errors.ts';
import type { FeatureAnalysis } from '../domain/feature.ts';
import type { Artefacts } from '../ports/Artefacts.ts';
import type { Progress } from '../ports/Progress.ts';
import type { SubjectModel } from '../ports/SubjectModel.ts';
import type { TokenRows } from '../ports/TokenRows.ts';
import { inOrder } from './inOrder.ts';
import { rowLookup } from './rowLookup.ts';

/** Output tokens at either end, and neighbours, of each feature. */
const EDGE_TOKENS = 10;
const NEIGHBOURS = 10;
/** Features handled between two breaths of the event loop while the records are written. */
const BLOCK = 64;

export interface AnalyseInput {
  readonly model: SubjectModel;
  /** Dictionaries of that model, with different names; all are read in the same pass. */
  readonly dictionaries: readonly DictionaryWeights[];
  readonly tokens: TokenRows;
  /** Rows [from, to) that are read. */
  readonly rows: { readonly from: number; readonly to: number };
  readonly artefacts: Artefacts;
  readonly progress: Progress;
  /** The run's own folder, which exists: `features-<dictionary>.ndjson` is written there, and the checkpoint. */
  readonly dir: string;
  /** Chooses the random sample of exemplars. */
  readonly seed: number;
  /** Tokens of one forward run; default 4096. Does not change the result. */
  readonly batchTokens?: number;
  /** Seconds between checkpoints; default 20, 0 = after every batch. */
  readonly checkpointSeconds?: number;
}

export interface AnalysedDictionary {
  readonly dictionary: string;
  /** `features-<dictionary>.ndjson` in the run's folder: one FeatureAnalysis a line, by index. */
  readonly file: string;
  readonly hash: string;
  readonly features: number;
  /** Features that fired at all. */
  readonly alive: number;
  readonly tokens: number;
}

/**
 * One pass over token rows that finds, for every feature of all dictionaries: density, max, mean, histogram, top, quantile
 * and random exemplars (src/activations/featureCollector.ts says how); then from the weights alone its top and bottom
 * output tokens (none for dictionaries that write at mlp_in) and its nearest decoder neighbours.
 *
 * Memory: about 16 kB per feature that fires, whatever the length of the text. After a crash the same call continues from
 * the last checkpoint and gives the same bytes, because batches are consumed in the order of rows.
 */
export async function analyse(input: AnalyseInput): Promise<readonly AnalysedDictionary[]> {
  check(input);
  const path = join(input.dir, 'checkpoint.safetensors');
  const identity = identityOf(input);
  const found = await input.artefacts.readTensors(path);
  const resumed = found !== null && found.metadata.identity === identity ? found : null;
  if (resumed?.metadata.outputs !== undefined) return JSON.parse(resumed.metadata.outputs) as AnalysedDictionary[];
  const collectors = input.dictionaries.map(({ config }) => new FeatureCollector(config.nFeatures, input.tokens.cols, input.seed));
  let next = input.rows.from;
  if (resumed !== null) {
    collectors.forEach((collector, i) => collector.restore(tensorsToState(String(i), resumed.tensors)));
    next = Number(resumed.metadata.nextRow);
    if (next > input.rows.from) input.progress.say(`analyse: continuing at row ${next} of ${input.rows.to}`);
  }
  const save = async (nextRow: number): Promise<void> => {
    const tensors: FloatTensors = new Map();
    collectors.forEach((collector, i) => stateToTensors(String(i), collector.save(), tensors));
    await input.artefacts.writeTensors(path, tensors, { identity, nextRow: String(nextRow) });
  };
  await read(input, collectors, next, save);
  const outputs: AnalysedDictionary[] = [];
  for (const [i, weights] of input.dictionaries.entries()) outputs.push(await write(input, weights, collectors[i]));
  // The checkpoint shrinks to what a repeated call needs.
  await input.artefacts.writeTensors(path, new Map(), { identity, outputs: JSON.stringify(outputs) });
  return outputs;
}

function check({ model, dictionaries, tokens, rows }: AnalyseInput): void {
  if (!(Number.isInteger(rows.from) && Number.isInteger(rows.to) && rows.from >= 0 && rows.to > rows.from && rows.to <= tokens.rows)) {
    throw new CallerError('BAD_INPUT', `rows ${rows.from} to ${rows.to}: the token file has rows 0 to ${tokens.rows}, and at least one must be read`);
  }
  if (tokens.cols > model.info.contextLength) {
    throw new CallerError('TEXT_TOO_LONG', `token rows have ${tokens.cols} tokens: model ${model.info.name} reads at most ${model.info.contextLength}`);
  }
  if (tokens.tokenizerHash !== model.info.tokenizerHash) {
    throw new CallerError('TOKENIZER_MISMATCH', `the token file was made with tokenizer ${tokens.tokenizerHash.slice(0, 12)}, model ${model.info.name} has ${model.info.tokenizerHash.slice(0, 12)}; tokenise the text again`);
  }
  if (dictionaries.length === 0) throw new CallerError('BAD_INPUT', 'no dictionaries to analyse');
  const names = dictionaries.map(({ config }) => config.name);
  if (new Set(names).size !== names.length) throw new CallerError('BAD_INPUT', `dictionaries must have different names, found ${names.join(', ')}`);
  for (const { config } of dictionaries) {
    pointsOf(config, model.info.dModel);
  }
}

/** What a checkpoint must agree in to be continued. */
function identityOf({ model, dictionaries, tokens, rows, seed }: AnalyseInput): string {
  const parts = ['analyse-1', model.info.weightsHash, dictionaries.map(({ config }) => [config.name, config.weightsHash]), tokens.hash, rows.from, rows.to, seed];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

async function read(input: AnalyseInput, collectors: readonly FeatureCollector[], from: number, save: (nextRow: number) => Promise<void>): Promise<void> {
  const { model, tokens, rows, dictionaries } = input;
  const { cols } = tokens;
  if (from >= rows.to) return;
  const perBatch = Math.max(1, Math.floor((input.batchTokens ?? 4096) / cols));
  const task = input.progress.start('analyse', (rows.to - rows.from) * cols, 'tokens');
  const batches: number[][] = [];
  for (let row = from; row < rows.to; row += perBatch) batches.push(Array.from({ length: Math.min(perBatch, rows.to - row) }, (_, i) => row + i));
  // One more than the workers, so that none waits while results are taken.
  const results = inOrder(batches, model.concurrency + 1, async (batch) => {
    const ids = await tokens.read(batch);
    const lengths = new Int32Array(batch.length).fill(cols);
    const { codes } = await model.forward({ batch: { rows: batch.length, cols, ids, lengths }, taps: [], logits: 'none', encode: dictionaries });
    return { batch, codes };
  });
  const every = 1000 * (input.checkpointSeconds ?? 20);
  let saved = performance.now();
  for await (const { batch, codes } of results) {
    collectors.forEach((collector, i) => collector.add(codes[i], batch));
    const done = batch[batch.length - 1] + 1;
    task.update((done - rows.from) * cols);
    if (done < rows.to && performance.now() - saved < every) continue;
    await save(done);
    saved = performance.now();
  }
  task.finish();
}

async function write(input: AnalyseInput, weights: DictionaryWeights, collector: FeatureCollector): Promise<AnalysedDictionary> {
  const { name, nFeatures } = weights.config;
  const file = featuresFile(name);
  let alive = 0;
  const task = input.progress.start(`analyse: tokens and neighbours of ${name}`, nFeatures, 'features');
  const records = async function* (): AsyncGenerator<FeatureAnalysis> {
    for await (const feature of describe(input, weights, collector)) {
      if (feature.maxActivation > 0) alive++;
      yield feature;
      task.update(feature.index + 1);
    }
  };
  const { hash } = await input.artefacts.writeRecords(join(input.dir, file), records());
  task.finish(`${alive} of ${nFeatures} fire`);
  return { dictionary: name, file, hash, features: nFeatures, alive, tokens: collector.tokens };
}

/** Features in order, a block at a time. Work: F·V·D multiply-adds for the tokens and F²·D for the neighbours, on one core. */
async function* describe({ model, tokens, rows }: AnalyseInput, weights: DictionaryWeights, collector: FeatureCollector): AsyncGenerator<FeatureAnalysis> {
  const { dOut: d, nFeatures } = weights.config;
  // What is added to an MLP's input is not in the residual stream: the unembedding never sees it.
  const reachesLogits = !pointsOf(weights.config, model.info.dModel).edit.startsWith('mlp_in.');
  const [unembedding, norm] = await Promise.all([model.unembedding(), model.finalNorm()]);
  const directions = logitDirections(weights, norm.gain, norm.centres);
  const units = unitRows(weights);
  const lookup = await rowLookup(tokens, rows);
  for (let from = 0; from < nFeatures; from += BLOCK) {
    await setImmediate();
    const to = Math.min(nFeatures, from + BLOCK);
    const logits = reachesLogits ? topProducts(directions, unembedding, d, { from, to, k: EDGE_TOKENS, least: true }) : { greatest: null, least: null };
    const near = topProducts(units, units, d, { from, to, k: NEIGHBOURS, exclude: (row) => row }).greatest;
    const found = Array.from({ length: to - from }, (_, i) => collector.feature(from + i));
    const texts = await lookup(found.flatMap(({ exemplars }) => exemplars.map(({ row }) => row)));
    for (const [i, { exemplars, ...statistics }] of found.entries()) {
      yield {
        index: from + i,
        ...statistics,
        maxActivation: rounded(statistics.maxActivation),
        meanActivation: statistics.meanActivation === null ? null : rounded(statistics.meanActivation),
        topLogits: pairs(logits.greatest, i).map(([id, value]) => ({ id, value })),
        bottomLogits: pairs(logits.least, i).map(([id, value]) => ({ id, value })),
        neighbours: pairs(near, i).map(([index, cosine]) => ({ index, cosine: Math.max(-1, Math.min(1, cosine)) })),
        exemplars: exemplars.map(({ kind, rank, row, start, activations, maxActivation }) => ({
          kind, rank, row, start, ids: texts(row, start, activations.length), activations: activations.map(rounded), maxActivation: rounded(maxActivation),
        })),
      };
    }
  }
}

/** Row i as [index, value] pairs. */
function pairs(products: TopProducts | null, i: number): [number, number][] {
  if (products === null) return [];
  const { k, indices, values } = products;
  return Array.from({ length: k }, (_, r) => [indices[i * k + r], rounded(values[i * k + r])]);
}

/** Seven significant digits, which is what float32 is worth; written out in full a float32 takes seventeen. */
function rounded(value: number): number {
  return value === 0 ? 0 : Number(value.toPrecision(7));
}

/** Name of a dictionary's feature records in an analyse run's folder. */
export function featuresFile(dictionary: string): string {
  return `features-${dictionary}.ndjson`;
}
