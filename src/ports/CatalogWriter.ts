import type { DictionaryConfig, DictionaryQuality } from '../domain/dictionary.ts';
import type { CircuitEdge, ExplainOutcome, FeatureAnalysis } from '../domain/feature.ts';
import type { Run } from '../domain/run.ts';
import type { ModelRow } from './CatalogReader.ts';

/** Everything known about one dictionary, streamed into the catalog in one transaction. */
export interface DictionaryLoad {
  readonly config: DictionaryConfig;
  readonly quality: DictionaryQuality | null;
  readonly location: string;
  readonly tokensAnalysed: number;
  /** train, analyse, explain … : every run the rows refer to. */
  readonly runs: { readonly train: Run; readonly analyse: Run; readonly explain: Run | null };
  readonly features: AsyncIterable<FeatureAnalysis>;
  readonly explanations: AsyncIterable<ExplainOutcome>;
}

export interface CatalogWriter {
  /** Inserts or updates the model and its token texts (index = id). */
  loadModel(model: ModelRow, tokens: readonly string[]): Promise<void>;
  /** Replaces the dictionary whole, by COPY, in one transaction; returns rows written. A reader sees the old or the new, never half. */
  loadDictionary(load: DictionaryLoad): Promise<{ features: number; exemplars: number; explanations: number }>;
  /**
   * Replaces the edges among the dictionaries named (all of the model when absent) by those of a circuits run, in one
   * transaction. The dictionaries must be loaded; an edge to another one is refused.
   */
  loadEdges(model: string, run: Run, edges: AsyncIterable<CircuitEdge> | Iterable<CircuitEdge>, among?: readonly string[]): Promise<number>;
  close(): Promise<void>;
}
