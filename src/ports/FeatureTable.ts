import type { Score } from '../domain/feature.ts';

export interface TableExplanation {
  readonly explainer: string;
  /** Language model that wrote it, and its prompt; null where none did. */
  readonly model: string | null;
  readonly promptVersion: string | null;
  readonly description: string;
  readonly scores: readonly Pick<Score, 'scorer' | 'judge' | 'promptVersion' | 'value' | 'undefinedReason' | 'low' | 'high' | 'n'>[];
}

export interface TableToken {
  readonly text: string;
  readonly activation: number;
}

export interface TableFeature {
  /** `{model}/{dictionary}/{index}`. */
  readonly address: string;
  /** Share of tokens it is active on. */
  readonly density: number;
  readonly maxActivation: number;
  readonly explanations: readonly TableExplanation[];
  /** Explainers that left it out, and why. */
  readonly skipped: readonly { readonly explainer: string; readonly reason: string }[];
  /** Tokens it raises most, strongest first. */
  readonly promotes: readonly string[];
  /** Its strongest windows, each around the token it is strongest on. */
  readonly exemplars: readonly (readonly TableToken[])[];
}

export interface FeatureTableData {
  readonly title: string;
  readonly notes: readonly string[];
  readonly dictionaries: readonly {
    /** `{model}/{dictionary}`. */
    readonly name: string;
    /** Facts about it: label and value. */
    readonly facts: readonly (readonly [string, string])[];
    readonly features: readonly TableFeature[];
  }[];
}

/** Writes a table of sample features, as the paper's Table 1: a self-contained HTML file at `path`, and Markdown beside it. */
export interface FeatureTable {
  /** Returns the paths written. */
  write(path: string, data: FeatureTableData): Promise<readonly string[]>;
}
