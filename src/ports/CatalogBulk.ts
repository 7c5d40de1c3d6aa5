import type { CircuitEdge, ExplainOutcome, Explanation, Exemplar, FeatureAnalysis, Neighbour, OutputEdge } from '../domain/feature.ts';
import type { PatchRun } from '../domain/patch.ts';
import type { Run } from '../domain/run.ts';
import type { DictionaryRow, ExplanationSummaryRow, ModelRow } from './CatalogReader.ts';

/** Which features of a dictionary are taken; left out = all. */
export interface BulkFilter {
  /** Indices from `from` to below `to`. */
  readonly from?: number;
  readonly to?: number;
  /** Of the feature's best simulation-top-random score. */
  readonly minScore?: number;
  readonly explained?: boolean;
}

/** With whether only keys it is granted to may read it. */
export interface BulkModel extends ModelRow {
  readonly restricted: boolean;
}

/** A dictionary without the number the database gave it. */
export interface BulkDictionary extends Omit<DictionaryRow, 'id'> {
  readonly inputScale: number;
}

export type BulkSummary = Omit<ExplanationSummaryRow, 'dictionaryId'>;
export type BulkFeature = Omit<FeatureAnalysis, 'exemplars'>;

/** With the key of the run that said it. */
export type OfRun<T> = T & { readonly run: string };

export interface BulkSkip {
  readonly index: number;
  readonly explainer: string;
  readonly reason: string;
}

/** What a person said of a feature. */
export interface BulkPerson {
  readonly index: number;
  /** `person/<name>`. */
  readonly explainer: string;
  readonly description: string;
  /** Id of the key that wrote it, and the weights it was written for; null where that was not kept. */
  readonly owner: string | null;
  readonly weightsHash: string | null;
}

/** Features near one of this dictionary's in another dictionary of the model, as measured on weights of this hash there. */
export interface BulkNearest {
  readonly index: number;
  readonly targetDictionary: string;
  readonly targetWeightsHash: string;
  /** Greatest cosine first. */
  readonly neighbours: readonly Neighbour[];
}

/** One dictionary as it was at one moment, whatever is written meanwhile. Lists of indices are ascending and short (some hundred); answers follow their order. */
export interface BulkView {
  readonly model: BulkModel;
  readonly dictionary: BulkDictionary;
  /** Indices in [from, to) that pass the filter, ascending. */
  indices(from: number, to: number, filter: BulkFilter): Promise<readonly number[]>;
  features(indices: readonly number[]): Promise<readonly BulkFeature[]>;
  /** By kind (top, quantile, random), then rank. */
  exemplars(indices: readonly number[]): Promise<readonly { readonly index: number; readonly exemplars: readonly Exemplar[] }[]>;
  /** Of machines, by explainer within a feature; scores by scorer, then judge. */
  explanations(indices: readonly number[]): Promise<readonly OfRun<Explanation>[]>;
  skips(indices: readonly number[]): Promise<readonly OfRun<BulkSkip>[]>;
  /** By explainer within a feature. Their notes and lists are not shown: some are private. */
  people(indices: readonly number[]): Promise<readonly BulkPerson[]>;
  /** Which machines explained or skipped these, each once, with the least key of a run that did. */
  explainers(indices: readonly number[]): Promise<readonly { readonly explainer: string; readonly run: string }[]>;
  /** Whose targets these are; by target, source dictionary, source. */
  edges(indices: readonly number[]): Promise<readonly OfRun<CircuitEdge>[]>;
  /** Whose sources these are; by source, token. */
  outputs(indices: readonly number[]): Promise<readonly OfRun<OutputEdge>[]>;
  /** By feature, then the other dictionary; only what holds for the weights that both have now. */
  nearest(indices: readonly number[]): Promise<readonly OfRun<BulkNearest>[]>;
  /** By explainer. */
  summaries(): Promise<readonly BulkSummary[]>;
  /** Those that are there, by key. */
  runs(keys: readonly string[]): Promise<readonly Run[]>;
  /** Display texts of the model's tokens by id; empty where none were loaded. */
  tokens(): Promise<readonly string[]>;
  /** Patches that edited features of this dictionary, by id, after `after`; fewer than `limit` where there are no more. */
  patches(after: string, limit: number): Promise<readonly PatchRun[]>;
  /** How many of these patches the catalog has. */
  knownPatches(ids: readonly string[]): Promise<number>;
}

/** What one explainer said, as the catalog had it. */
export interface BulkExplanations {
  readonly explainer: string;
  /** The run most of them are of. */
  readonly run: Run;
  /** Each with the key of its own run. */
  readonly outcomes: AsyncIterable<OfRun<ExplainOutcome>>;
}

/** A dictionary to be put into the catalog as it was in another. */
export interface BulkLoad {
  /** Where the catalog has none of this name: the model, with the texts of its vocabulary by id. */
  readonly model: { readonly row: BulkModel; readonly tokens: AsyncIterable<string> } | null;
  readonly dictionary: BulkDictionary;
  /** Every run that is named. */
  readonly runs: AsyncIterable<Run>;
  readonly train: Run;
  readonly analyse: Run;
  readonly features: AsyncIterable<FeatureAnalysis>;
  readonly explanations: readonly BulkExplanations[];
  /** One that is there by the same owner is replaced; one that is there by another stays. */
  readonly people: AsyncIterable<BulkPerson>;
  /** Null: what the explanations come to. */
  readonly summaries: readonly BulkSummary[] | null;
}

/** What was measured between a dictionary and others; loaded once these are there. */
export interface BulkMeasured {
  readonly model: string;
  readonly dictionary: string;
  /** Features whose edges and nearest features these are, the others keep theirs; null = all. */
  readonly indices: readonly number[] | null;
  readonly runs: AsyncIterable<Run>;
  readonly edges: AsyncIterable<OfRun<CircuitEdge>>;
  readonly outputs: AsyncIterable<OfRun<OutputEdge>>;
  readonly nearest: AsyncIterable<OfRun<BulkNearest>>;
  readonly patches: AsyncIterable<PatchRun>;
}

export interface BulkCounts {
  readonly features: number;
  readonly exemplars: number;
  readonly explanations: number;
}

export interface MeasuredCounts {
  readonly edges: number;
  readonly outputs: number;
  /** Features near another dictionary's, for each of these dictionaries. */
  readonly nearest: number;
  readonly patches: number;
  /** Edges and nearest features left out because the catalog lacks the other dictionary, or the weights they were measured on, by its name. */
  readonly without: ReadonlyMap<string, number>;
}

/** The catalog by the dictionary, whole, for moving it from one database to another. */
export interface CatalogBulk {
  /** Throws NOT_FOUND where the catalog has no such dictionary. */
  view<T>(model: string, dictionary: string, work: (view: BulkView) => Promise<T>): Promise<T>;
  /** Replaces the dictionary and everything machines said of its features, in one transaction. What people here said, noted and listed stays. */
  restore(load: BulkLoad): Promise<BulkCounts>;
  /** Replaces the edges into the dictionary's features, theirs to tokens and what is near them, and adds patches, in one transaction. */
  restoreMeasured(load: BulkMeasured): Promise<MeasuredCounts>;
}
