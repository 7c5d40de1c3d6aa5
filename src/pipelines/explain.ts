import { join } from 'node:path';
import type { ExplainOutcome, FeatureAnalysis } from '../domain/feature.ts';
import { CallerError } from '../domain/errors.ts';
import { PAPER_MIN_FRAGMENTS } from '../interp/eligibility.ts';
import { ExplainTally, scoreOf } from '../interp/explainSummary.ts';
import type { ExplainSummary } from '../interp/explainSummary.ts';
import type { Artefacts } from '../ports/Artefacts.ts';
import type { Explainer } from '../ports/Explainer.ts';
import type { Progress } from '../ports/Progress.ts';
import type { Scorer } from '../ports/Scorer.ts';
import { inOrder } from './inOrder.ts';
import { explainFeatures } from './explainFeatures.ts';

export interface ExplainOptions {
  /** The first so many features in index order (the paper took 150), or all. */
  readonly features: number | 'all';
  /** Top fragments with variation a feature needs, 1 to 20; fewer: skipped and counted. */
  readonly minFragments: number;
  /** Features explained together and written to the resume log together: what a killed run does again. Does not change the result. */
  readonly chunk: number;
  /** Chunks under way at once, default 2: while one waits for the model, the other prepares its probes. Does not change the result. */
  readonly inFlight?: number;
}

export const EXPLAIN_DEFAULTS: ExplainOptions = { features: 'all', minFragments: PAPER_MIN_FRAGMENTS, chunk: 64 };

export interface ExplainInput {
  /** For progress lines, e.g. the dictionary's name. */
  readonly label: string;
  /** features.ndjson of the analyse stage, in index order. */
  readonly featuresPath: string;
  /** F, for progress and coverage. */
  readonly nFeatures: number;
  /** Folder of this run: the resume log and, at the end, explanations.ndjson. */
  readonly dir: string;
}

export interface ExplainPorts {
  readonly artefacts: Artefacts;
  readonly progress: Progress;
  readonly explainer: Explainer;
  readonly scorers: readonly Scorer[];
}

export interface ExplainResult {
  readonly path: string;
  /** sha-256 of explanations.ndjson. */
  readonly hash: string;
  readonly summary: ExplainSummary;
  /** Features done by this call; the others came from the resume log. */
  readonly doneNow: number;
  readonly seconds: number;
  /** doneNow per minute; null when nothing was left to do. */
  readonly featuresPerMinute: number | null;
}

interface LogRecord {
  /** Features before these, in the order of the analysis. */
  readonly first: number;
  readonly outcomes: readonly ExplainOutcome[];
}

const LOG = 'explained.log.ndjson';
const IN_FLIGHT = 2;

/**
 * Explains and scores the features of one dictionary. Bounded memory: `inFlight` chunks of features. Resumable: each finished
 * chunk is one line of `explained.log.ndjson`, written in order, so a killed run repeats at most the chunks under way, and whole
 * chunks only: the result is the same whether or not it was interrupted.
 * Leaves `explanations.ndjson` with one ExplainOutcome per feature asked for, by index.
 */
export async function explainDictionary(ports: ExplainPorts, input: ExplainInput, options: ExplainOptions = EXPLAIN_DEFAULTS): Promise<ExplainResult> {
  checkOptions(options);
  const { artefacts, progress } = ports;
  const started = performance.now();
  const total = options.features === 'all' ? input.nFeatures : Math.min(options.features, input.nFeatures);
  const logPath = join(input.dir, LOG);
  const finished = await countFinished(artefacts, input.dir);
  const task = progress.start(`explain ${input.label}`, total, 'features');
  let done = finished;
  let doneNow = 0;
  if (done > 0) task.update(done, 'resumed');

  const chunks = chunksOf(artefacts.readRecords<FeatureAnalysis>(input.featuresPath), options.chunk, finished, total);
  const explained = inOrder(chunks, options.inFlight ?? IN_FLIGHT, async ({ first, features }): Promise<LogRecord> => ({ first, outcomes: await explainFeatures(ports, features, options.minFragments) }));
  for await (const record of explained) {
    await artefacts.appendRecords(logPath, [record]);
    done += record.outcomes.length;
    doneNow += record.outcomes.length;
    task.update(done);
  }

  const tally = new ExplainTally();
  const path = join(input.dir, 'explanations.ndjson');
  const { count, hash } = await artefacts.writeRecords(path, outcomesOf(artefacts, logPath, tally));
  if (count !== total) {
    throw new CallerError('BAD_INPUT', `${input.featuresPath} holds ${count} features, expected ${total}: run the analyse stage again`);
  }
  const summary = tally.summary();
  const seconds = (performance.now() - started) / 1000;
  task.finish(finishNote(summary));
  return { path, hash, summary, doneNow, seconds, featuresPerMinute: doneNow === 0 ? null : (60 * doneNow) / seconds };
}

/** Features in a run's resume log, counted from the start without a gap; chunks may have been of another size then. */
export async function countFinished(artefacts: Artefacts, dir: string): Promise<number> {
  const path = join(dir, LOG);
  let finished = 0;
  for await (const { first, outcomes } of artefacts.readRecords<LogRecord>(path, { optional: true })) {
    if (first !== finished) throw new CallerError('STALE_OUTPUT', `${path}: expected a record of feature ${finished} and those after, found ${first}; delete the run's folder and run the stage again`);
    finished += outcomes.length;
  }
  return finished;
}

/** Begins the resume log of another run with the first `count` features of this one; what the other has is replaced. */
export async function copyFinished(artefacts: Artefacts, from: string, to: string, count: number): Promise<void> {
  const first = async function* (): AsyncGenerator<LogRecord> {
    for await (const { first, outcomes } of artefacts.readRecords<LogRecord>(join(from, LOG))) {
      if (first >= count) return;
      yield { first, outcomes: outcomes.slice(0, count - first) };
    }
  };
  await artefacts.writeRecords(join(to, LOG), first());
}

async function* outcomesOf(artefacts: Artefacts, path: string, tally: ExplainTally): AsyncGenerator<ExplainOutcome> {
  for await (const { outcomes } of artefacts.readRecords<LogRecord>(path, { optional: true })) {
    for (const outcome of outcomes) {
      tally.add(outcome);
      yield outcome;
    }
  }
}

/** Features from place `from` (inclusive) to `to` (exclusive) of the source, `size` at a time. */
async function* chunksOf(source: AsyncIterable<FeatureAnalysis>, size: number, from: number, to: number): AsyncGenerator<{ first: number; features: FeatureAnalysis[] }> {
  let place = 0;
  let features: FeatureAnalysis[] = [];
  for await (const feature of source) {
    if (place === to) break;
    if (place++ < from) continue;
    features.push(feature);
    if (features.length < size) continue;
    yield { first: place - features.length, features };
    features = [];
  }
  if (features.length > 0) yield { first: place - features.length, features };
}

function checkOptions({ features, minFragments, chunk, inFlight = IN_FLIGHT }: ExplainOptions): void {
  if (features !== 'all' && !(Number.isInteger(features) && features >= 1)) {
    throw new CallerError('BAD_INPUT', `features: expected a whole number from 1, or all; found ${features}`);
  }
  if (!(Number.isInteger(minFragments) && minFragments >= 1 && minFragments <= PAPER_MIN_FRAGMENTS)) {
    throw new CallerError('BAD_INPUT', `minFragments: expected a whole number from 1 to ${PAPER_MIN_FRAGMENTS} (the analysis keeps no more); found ${minFragments}`);
  }
  if (!(Number.isInteger(chunk) && chunk >= 1)) throw new CallerError('BAD_INPUT', `chunk: expected a whole number from 1; found ${chunk}`);
  if (!(Number.isInteger(inFlight) && inFlight >= 1)) throw new CallerError('BAD_INPUT', `inFlight: expected a whole number from 1; found ${inFlight}`);
}

function finishNote(summary: ExplainSummary): string {
  const parts = [`${summary.explained} of ${summary.features} explained`];
  const score = scoreOf(summary, 'simulation-top-random')?.ofScored;
  if (score !== undefined && score.mean !== null) {
    const spread = score.halfWidth === null ? '' : ` ± ${score.halfWidth.toFixed(3)}`;
    parts.push(`top-and-random correlation ${score.mean.toFixed(3)}${spread} over the ${score.n} features scored`);
  }
  return parts.join(', ');
}
