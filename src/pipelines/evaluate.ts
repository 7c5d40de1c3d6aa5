import { join } from 'node:path';
import { pointsOf } from '../causal/hookOrder.ts';
import { densityHistogram } from '../dictionary/density.ts';
import type { DensityHistogram } from '../dictionary/density.ts';
import { addReconstructions, addSums, aliveShareOverTen, NO_RECONSTRUCTIONS, quality, reconstructionQuality } from '../dictionary/quality.ts';
import type { QualitySums, ReconstructionQuality, ReconstructionSums } from '../dictionary/quality.ts';
import { addPredictions, NO_PREDICTIONS, spliceScores } from '../dictionary/spliceScores.ts';
import type { PredictionSums, SpliceScores } from '../dictionary/spliceScores.ts';
import type { DictionaryConfig, DictionaryQuality, DictionaryWeights } from '../domain/dictionary.ts';
import { CallerError, invariant } from '../domain/errors.ts';
import type { HookPoint } from '../domain/hookPoint.ts';
import type { Artefacts } from '../ports/Artefacts.ts';
import type { DictionaryReader, OpenDictionary } from '../ports/DictionaryReader.ts';
import type { PredictionScorer } from '../ports/PredictionScorer.ts';
import type { Progress } from '../ports/Progress.ts';
import type { SubjectModel } from '../ports/SubjectModel.ts';
import type { TokenRows } from '../ports/TokenRows.ts';
import { inOrder } from './inOrder.ts';
import { measureActivations, spliceBatch, splicingSite } from './evaluateBatch.ts';
import type { ActivationStatistics, SplicingSite } from './evaluateBatch.ts';

/** A dictionary to evaluate; its weights are loaded when it is its turn. */
export interface DictionarySource {
  readonly config: DictionaryConfig;
  load(): Promise<DictionaryWeights>;
}

export interface EvaluateInput {
  readonly model: SubjectModel;
  readonly reader: DictionaryReader;
  readonly scorer: PredictionScorer;
  readonly artefacts: Artefacts;
  readonly progress: Progress;
  /** Of that model, with different names. */
  readonly dictionaries: readonly DictionarySource[];
  readonly tokens: TokenRows;
  /** Rows read, none of which a dictionary was trained on. */
  readonly rows: Uint32Array;
  /**
   * First positions of every row that are neither replaced nor measured: the model keeps its own activations there, and
   * predictions made at them are not counted. 0 = all positions take part, as in the paper.
   */
  readonly skipPositions: number;
  /** The run's own folder, which exists. */
  readonly dir: string;
}

/** What evaluation-<dictionary>.json holds. The parts' definitions are where their types are. */
export interface DictionaryEvaluation extends DictionaryQuality {
  readonly dictionary: string;
  readonly architecture: DictionaryConfig['architecture'];
  readonly hookPoint: HookPoint;
  readonly outputHookPoint: HookPoint | null;
  readonly nFeatures: number;
  readonly weightsHash: string;
  readonly deadShare: number;
  readonly aliveShareOverTen: number;
  readonly density: DensityHistogram;
  readonly reconstruction: ReconstructionQuality;
  readonly splice: SpliceScores;
}

export interface EvaluateResult {
  readonly evaluations: readonly DictionaryEvaluation[];
  /** Forward runs of this call, by what they were for; those of `mean` stop at the hook point, `replaced` ones start there. */
  readonly forwardRuns: { readonly mean: number; readonly original: number; readonly replaced: number };
}

/** Dictionaries of one hook point evaluated together, in number and in bytes of weights. */
const TOGETHER = 8;
const TOGETHER_BYTES = 2 ** 30;
/** Numbers of logits of one forward run, 64 MB, unless one row has more. */
const LOGITS_AT_ONCE = 16 << 20;
/** Tokens of one forward run at most; a fixed number, so that results do not depend on the machine. */
const TOKENS_AT_ONCE = 2048;

/**
 * Quality of dictionaries on held-out text, and what it costs to put their reconstructions into the model.
 *
 * Dictionaries that write at the same hook point share the untouched run and both ablations. For each batch the model runs
 * whole once; everything replaced runs from the residual stream at or before the hook point. A dictionary that is finished
 * has its file, and a repeated call goes on with the others. Numbers do not depend on the number of workers, nor on what
 * is evaluated together. Memory: weights of the dictionaries evaluated together, and per batch under way about four times
 * the logits of one run.
 */
export async function evaluate(input: EvaluateInput): Promise<EvaluateResult> {
  check(input);
  const runs = { mean: 0, original: 0, replaced: 0 };
  const done = new Map<string, DictionaryEvaluation>();
  for (const { config } of input.dictionaries) {
    for await (const record of input.artefacts.readRecords<DictionaryEvaluation>(pathOf(input, config), { optional: true })) done.set(config.name, record);
  }
  const left = input.dictionaries.filter(({ config }) => !done.has(config.name));
  if (done.size > 0) input.progress.say(`evaluate: ${done.size} dictionaries were evaluated before`);
  const written = ({ config }: DictionarySource): HookPoint => pointsOf(config, input.model.info.dModel).edit;
  for (const hook of new Set(left.map(written))) {
    const members = left.filter((member) => written(member) === hook);
    const statistics = await measureActivations(input, hook, batches(input, input.model.info.dModel));
    runs.mean += statistics.runs;
    if (!(statistics.variance > 0 && Number.isFinite(statistics.variance))) {
      throw new CallerError('BAD_INPUT', `activations at ${hook} have variance ${statistics.variance} on ${input.rows.length} rows; expected a finite number above 0: take more or other text, or another hook point`);
    }
    for (const part of together(members)) {
      for (const record of await evaluateTogether(input, hook, part, statistics, runs)) {
        await input.artefacts.writeRecords(pathOf(input, { name: record.dictionary }), [record]);
        done.set(record.dictionary, record);
      }
    }
  }
  return { evaluations: input.dictionaries.map(({ config }) => done.get(config.name)!), forwardRuns: runs };
}

/** File of a dictionary's evaluation in an evaluate run's folder. */
export function evaluationFile(dictionary: string): string {
  return `evaluation-${dictionary}.json`;
}

function pathOf({ dir }: EvaluateInput, { name }: Pick<DictionaryConfig, 'name'>): string {
  return join(dir, evaluationFile(name));
}

function check({ model, dictionaries, tokens, rows, skipPositions }: EvaluateInput): void {
  const bad = (message: string): never => {
    throw new CallerError('BAD_INPUT', message);
  };
  if (dictionaries.length === 0) bad('no dictionaries to evaluate');
  const names = dictionaries.map(({ config }) => config.name);
  if (new Set(names).size !== names.length) bad(`dictionaries must have different names, found ${names.join(', ')}`);
  if (rows.length === 0) bad('no token rows to evaluate on: tokenise more text, or train on less');
  if (!Number.isSafeInteger(skipPositions) || skipPositions < 0 || skipPositions > tokens.cols - 2) {
    bad(`skip positions: expected 0 to ${tokens.cols - 2} for rows of ${tokens.cols} tokens, found ${skipPositions}`);
  }
  if (tokens.cols > model.info.contextLength) throw new CallerError('TEXT_TOO_LONG', `token rows have ${tokens.cols} tokens: model ${model.info.name} reads at most ${model.info.contextLength}`);
  if (tokens.tokenizerHash !== model.info.tokenizerHash) {
    throw new CallerError('TOKENIZER_MISMATCH', `the token file was made with tokenizer ${tokens.tokenizerHash.slice(0, 12)}, model ${model.info.name} has ${model.info.tokenizerHash.slice(0, 12)}; tokenise the text again`);
  }
  for (const { config } of dictionaries) pointsOf(config, model.info.dModel);
}

/** Rows in batches of one forward run that gives `width` numbers a token. */
function batches({ tokens, rows }: EvaluateInput, width: number): Uint32Array[] {
  const perBatch = Math.max(1, Math.floor(Math.min(TOKENS_AT_ONCE, LOGITS_AT_ONCE / width) / tokens.cols));
  return Array.from({ length: Math.ceil(rows.length / perBatch) }, (_, i) => rows.subarray(i * perBatch, (i + 1) * perBatch));
}

function together(members: readonly DictionarySource[]): DictionarySource[][] {
  const parts: DictionarySource[][] = [];
  let bytes = 0;
  for (const member of members) {
    const { nFeatures, dIn, dOut } = member.config;
    const size = 4 * nFeatures * (dIn + dOut);
    const last = parts.at(-1);
    if (last === undefined || last.length === TOGETHER || bytes + size > TOGETHER_BYTES) {
      parts.push([member]);
      bytes = size;
    } else {
      last.push(member);
      bytes += size;
    }
  }
  return parts;
}

interface Sums {
  quality: QualitySums | null;
  reconstruction: ReconstructionSums;
  predictions: PredictionSums;
}

async function evaluateTogether(
  input: EvaluateInput,
  hook: HookPoint,
  members: readonly DictionarySource[],
  statistics: ActivationStatistics,
  runs: { original: number; replaced: number },
): Promise<DictionaryEvaluation[]> {
  const { model, rows, tokens } = input;
  const site: SplicingSite = splicingSite(hook, statistics.mean);
  const open: OpenDictionary[] = [];
  const sums = members.map((): Sums => ({ quality: null, reconstruction: NO_RECONSTRUCTIONS, predictions: NO_PREDICTIONS }));
  let [original, zero, mean] = [NO_PREDICTIONS, NO_PREDICTIONS, NO_PREDICTIONS];
  const label = members.length === 1 ? members[0]!.config.name : `${members.length} dictionaries`;
  const task = input.progress.start(`evaluate ${label} at ${hook}`, rows.length * tokens.cols, 'tokens');
  try {
    for (const member of members) open.push(await input.reader.open(await member.load()));
    const configs = members.map(({ config }) => config);
    const all = batches(input, model.info.vocabSize);
    const measured = inOrder(all, model.concurrency + 1, (batch) => spliceBatch(input, site, configs.map((config, i) => ({ config, dictionary: open[i]! })), batch));
    let rowsDone = 0;
    for await (const result of measured) {
      original = addPredictions(original, result.original);
      zero = addPredictions(zero, result.zero);
      mean = addPredictions(mean, result.mean);
      for (const [i, { reading, targets, predictions }] of result.dictionaries.entries()) {
        const sum = sums[i]!;
        sum.quality = sum.quality === null ? reading : addSums(sum.quality, reading);
        sum.reconstruction = addReconstructions(sum.reconstruction, targets, reading.reconstruction!, configs[i]!.dOut);
        sum.predictions = addPredictions(sum.predictions, predictions);
      }
      runs.original++;
      runs.replaced += 2 + members.length;
      rowsDone += result.rows;
      task.update(rowsDone * tokens.cols);
    }
  } finally {
    await Promise.allSettled(open.map((dictionary) => dictionary.close()));
  }
  task.finish();
  return members.map(({ config }, i) => {
    const { quality: read, reconstruction, predictions } = sums[i]!;
    invariant(read !== null, 'at least one batch was read');
    const measured = quality(read, statistics.variance);
    const { name, architecture, hookPoint, outputHookPoint, nFeatures, weightsHash } = config;
    return {
      dictionary: name, architecture, hookPoint, outputHookPoint, nFeatures, weightsHash,
      ...measured,
      deadShare: 1 - measured.aliveShare,
      aliveShareOverTen: aliveShareOverTen(read.firings),
      density: densityHistogram(read.firings, read.vectors),
      reconstruction: reconstructionQuality(reconstruction),
      splice: spliceScores({ original, zero, mean, spliced: predictions }),
    };
  });
}
