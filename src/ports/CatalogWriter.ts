import type { DictionaryConfig, DictionaryQuality } from '../domain/dictionary.ts';
import type { CircuitEdge, ExplainOutcome, Explanation, FeatureAnalysis, OutputEdge } from '../domain/feature.ts';
import type { Run } from '../domain/run.ts';
import type { ModelRow } from './CatalogReader.ts';
import type { Nearest } from './NearestRows.ts';

/** What one explainer said of a dictionary's features. */
export interface ExplanationsLoad {
  /** Explainer.name; every explanation must carry it. */
  readonly explainer: string;
  /** The run that explained and scored. */
  readonly run: Run;
  /** One per feature asked for. */
  readonly outcomes: AsyncIterable<ExplainOutcome>;
}

/** A dictionary as it was when it was read: with other weights the same index is another feature. */
export interface DictionaryTarget {
  readonly model: string;
  readonly dictionary: string;
  readonly weightsHash: string;
}

/** That an explainer left a feature out. */
export interface FeatureSkip {
  readonly index: number;
  readonly explainer: string;
  readonly reason: string;
}

/** Everything known about one dictionary, streamed into the catalog in one transaction. */
export interface DictionaryLoad {
  readonly config: DictionaryConfig;
  readonly quality: DictionaryQuality | null;
  readonly location: string;
  readonly tokensAnalysed: number;
  readonly runs: { readonly train: Run; readonly analyse: Run };
  readonly features: AsyncIterable<FeatureAnalysis>;
  /** By explainer, each at most once. */
  readonly explanations: readonly ExplanationsLoad[];
}

/** What one circuits run measured, each edge at most once. */
export interface CircuitsLoad {
  readonly run: Run;
  readonly edges: AsyncIterable<CircuitEdge> | Iterable<CircuitEdge>;
  /** Absent where the run measured no effects on output tokens. */
  readonly outputs?: AsyncIterable<OutputEdge> | Iterable<OutputEdge>;
}

/** Rows written. */
export interface CircuitCounts {
  readonly edges: number;
  readonly outputs: number;
}

/** The nearest features in one dictionary of every feature of another, as a run measured them on these weights. */
export interface NearestLoad {
  readonly run: Run;
  readonly from: Pick<DictionaryTarget, 'dictionary' | 'weightsHash'>;
  readonly to: Pick<DictionaryTarget, 'dictionary' | 'weightsHash'>;
  /** Called only where the catalog does not hold them yet. */
  read(): Promise<Nearest>;
}

/** Pairs of dictionaries written, and those that were there already. */
export interface NearestCounts {
  readonly pairs: number;
  readonly kept: number;
}

export interface CatalogWriter {
  /** Inserts or updates the model and its token texts (index = id). */
  loadModel(model: ModelRow, tokens: readonly string[]): Promise<void>;
  /**
   * Replaces the dictionary, its features and what the explainers named said of it, by COPY, in one transaction; returns rows
   * written. A reader sees the old or the new, never half. What other explainers said stays where the weights are the same,
   * and goes where they are not.
   */
  loadDictionary(load: DictionaryLoad): Promise<{ features: number; exemplars: number; explanations: number }>;
  /**
   * Replaces all that one explainer said of a dictionary, by COPY, in one transaction; returns rows written. Features and
   * exemplars stay as they are but for their best score. Refused where the catalog's dictionary has other weights.
   */
  loadExplanations(target: DictionaryTarget, load: ExplanationsLoad): Promise<{ explanations: number; skipped: number }>;
  /**
   * Stores the explanation of one feature with its run, in place of the one the same explainer gave before; where the words are
   * the same, scores of other instruments and judges stay. The summary of the explainer's own run over the dictionary stays
   * as it is. Refused where the catalog's dictionary has other weights, or is being loaded.
   */
  saveExplanation(target: DictionaryTarget, run: Run, explanation: Explanation): Promise<void>;
  /**
   * Stores why an explainer left one feature out, in place of the reason it gave before; where there is an explanation by it,
   * that stays and nothing is stored. Refused as saveExplanation.
   */
  saveSkip(target: DictionaryTarget, run: Run, skip: FeatureSkip): Promise<void>;
  /**
   * Replaces the edges among the dictionaries named (all of the model when absent), and theirs to output tokens, by those of
   * circuits runs, in one transaction; where several runs give edges from a dictionary into a target, those of the first
   * count. The dictionaries must be loaded; an edge to another one is refused.
   */
  loadCircuits(model: string, circuits: readonly CircuitsLoad[], among?: readonly string[]): Promise<CircuitCounts>;
  /**
   * Puts nearest features in, pair by pair in place of those another run measured, in one transaction; other pairs stay. They go when
   * either dictionary gets other weights. Refused where the catalog's dictionaries have other weights.
   */
  loadNearest(model: string, pairs: readonly NearestLoad[]): Promise<NearestCounts>;
  close(): Promise<void>;
}
