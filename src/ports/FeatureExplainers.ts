import type { ExplainOutcome, FeatureAnalysis } from '../domain/feature.ts';
import type { Run } from '../domain/run.ts';

export interface ExplainFeatureRequest {
  readonly model: string;
  readonly dictionary: string;
  /** As the catalog holds it, with all its exemplars. */
  readonly feature: FeatureAnalysis;
  /** Fragments of the dictionary's text drawn at random (other features' random exemplars): background for probes, silent windows for detection. */
  readonly background: FeatureAnalysis['exemplars'];
  /** One of `methods`. */
  readonly method: string;
  /** Some of `scorers`; empty = those that fit the method. */
  readonly scorers: readonly string[];
}

/** Explains single features on demand, for the server. */
export interface FeatureExplainers {
  /** The default first, e.g. `pattern`; LLM methods only where one is configured. */
  readonly methods: readonly string[];
  readonly scorers: readonly string[];
  /** Who would explain, and the key of the run that `explain` would answer with; explains nothing. */
  identify(request: ExplainFeatureRequest): Promise<{ readonly explainer: string; readonly run: string }>;
  /** `run`: where the explanation's numbers come from; equal input = equal key. */
  explain(request: ExplainFeatureRequest): Promise<{ readonly run: Run; readonly outcome: ExplainOutcome }>;
}
