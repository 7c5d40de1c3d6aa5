/** One dictionary's curves and results, for people to look at. */
export interface ReportedDictionary {
  readonly name: string;
  readonly architecture: string;
  readonly nFeatures: number;
  /** What was set, in words: `k 32`, `sparsity 0.008`. */
  readonly settings: string;
  /** Held-out quality; null while training. */
  readonly quality: { readonly fvu: number; readonly l0: number; readonly aliveShare: number } | null;
  /** Why it was given up; null when it was not. */
  readonly failure: string | null;
}

export interface TrainReportData {
  readonly title: string;
  /** Facts about the run, label and value. */
  readonly facts: readonly (readonly [string, string])[];
  readonly dictionaries: readonly ReportedDictionary[];
  /** metrics.jsonl of the run. */
  readonly metricsPath: string;
}

/** Draws a training: one self-contained HTML file that needs no network. */
export interface TrainReport {
  write(path: string, data: TrainReportData): Promise<void>;
}
