import type { DictionaryArchitecture } from '../../domain/dictionary.ts';
import type { HookPoint } from '../../domain/hookPoint.ts';
import type { PatchInput, PatchResult, PatchRun } from '../../domain/patch.ts';
import type { Run } from '../../domain/run.ts';
import type { DictionaryRow, ExplanationSummaryRow, FeatureRow, ModelRow, ReasonCount, ScoreSummaryRow } from '../../ports/CatalogReader.ts';
import type { Dictionary, ExplanationSummary, Model, PatchRun as StoredPatchRun, Run as StoredRun } from './generated/client.ts';
import { unpackHistogram, unpackLogits, unpackNeighbours } from './pack.ts';

export function modelRow(row: Model): ModelRow {
  const { id: _, restricted: __, parameters, ...rest } = row;
  return { ...rest, parameters: Number(parameters) };
}

export function dictionaryRow(row: Dictionary & { model: { name: string } }): DictionaryRow {
  const { fvu, l0, aliveShare, qualityVectors } = row;
  return {
    id: row.id,
    model: row.model.name,
    name: row.name,
    hookPoint: row.hookPoint as HookPoint,
    outputHookPoint: row.outputHookPoint as HookPoint | null,
    layer: row.layer,
    architecture: row.architecture as DictionaryArchitecture,
    dIn: row.dIn,
    nFeatures: row.nFeatures,
    k: row.k,
    l1: row.l1,
    weightsHash: row.weightsHash,
    location: row.location,
    quality:
      fvu === null || l0 === null || aliveShare === null || qualityVectors === null
        ? null
        : { fvu, l0, aliveShare, vectors: Number(qualityVectors) },
    trainRun: row.trainRun,
    analyseRun: row.analyseRun,
    tokensAnalysed: row.tokensAnalysed === null ? null : Number(row.tokensAnalysed),
    createdAt: row.createdAt.toISOString(),
  };
}

export function runRow(row: StoredRun): Run {
  return {
    key: row.key,
    stage: row.stage,
    params: row.params as Run['params'],
    inputs: row.inputs as Run['inputs'],
    seed: Number(row.seed),
    codeVersion: row.codeVersion,
    startedAt: row.startedAt.toISOString(),
    finishedAt: row.finishedAt?.toISOString() ?? null,
    metrics: row.metrics as Run['metrics'],
  };
}

export function summaryRow(row: ExplanationSummary): ExplanationSummaryRow {
  // Written by explanation_summary_of(), whose shape these are.
  return { ...row, skips: row.skips as unknown as ReasonCount[], scores: row.scores as unknown as ScoreSummaryRow[] };
}

export function patchRunRow(row: StoredPatchRun): PatchRun {
  return {
    id: row.id,
    input: row.input as unknown as PatchInput,
    result: row.result as unknown as PatchResult,
    weightsHash: row.weightsHash,
    codeVersion: row.codeVersion,
    createdAt: row.createdAt.toISOString(),
    milliseconds: row.milliseconds,
  };
}

/** A row of FEATURE_COLUMNS, as node-postgres gives it in array mode. */
export type StoredFeature = [number, number, number, number, number | null, Buffer, Buffer, Buffer, Buffer, number | null];

export const FEATURE_COLUMNS =
  'f.dictionary_id, f."index", f.density, f.max_activation, f.mean_activation, f.histogram, f.top_logits, f.bottom_logits, f.neighbours, f.best_score';

/** What is packed is unpacked where it is asked for: most operations ask for none of it. */
export function featureRow([dictionaryId, index, density, maxActivation, meanActivation, histogram, top, bottom, neighbours, bestScore]: StoredFeature): FeatureRow {
  return {
    dictionaryId,
    index,
    density,
    maxActivation,
    meanActivation,
    get histogram() {
      return unpackHistogram(histogram);
    },
    get topLogits() {
      return unpackLogits(top);
    },
    get bottomLogits() {
      return unpackLogits(bottom);
    },
    get neighbours() {
      return unpackNeighbours(neighbours);
    },
    bestScore,
  };
}
