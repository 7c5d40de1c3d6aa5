import type { DictionaryQuality } from '../domain/dictionary.ts';

interface Interval {
  readonly low: number;
  readonly high: number;
}

/** A mean with two 95 % intervals: mean ± halfWidth (1.96·sd/√n), and a bootstrap over features. Null where not defined. */
export interface ReportedMean {
  readonly n: number;
  readonly mean: number | null;
  readonly halfWidth: number | null;
  readonly bootstrap: Interval | null;
}

/** `scored`: over features with a score. `asked`: over all asked for, those without one counted as chance. */
export type ReportedBasis = 'scored' | 'asked';

/** Means and differences over some features, and what they say. */
export interface ReportedComparison {
  /** `layer` null: mean over the layers. */
  readonly estimates: readonly { readonly layer: number | null; readonly method: string; readonly asked: number; readonly explained: number; readonly of: Readonly<Record<ReportedBasis, ReportedMean>> }[];
  /** Reference minus the other; `apart`: their own 95 % intervals do not overlap. */
  readonly differences: readonly { readonly layer: number | null; readonly other: string; readonly basis: ReportedBasis; readonly value: number; readonly interval: Interval; readonly apart: boolean }[];
  /** Sentences made from the numbers. */
  readonly verdicts: readonly string[];
}

/** One instrument in the hands of one judge. */
export interface ReportedInstrument extends ReportedComparison {
  readonly scorer: string;
  readonly judge: string;
  readonly promptVersion: string | null;
  readonly label: string;
  /** Score of a description that says nothing. */
  readonly chance: number;
  readonly scores: readonly { readonly layer: number; readonly method: string; readonly values: readonly (number | null)[]; readonly undefined: Readonly<Record<string, number>> }[];
  /** The same over those features only that are active on at least `leastDensity` of all tokens; null where there are none. */
  readonly frequent: (ReportedComparison & { readonly leastDensity: number }) | null;
}

/** One dictionary that took part. */
export interface ReportedMember {
  readonly layer: number;
  readonly method: string;
  /** `{model}/{dictionary}`. */
  readonly dictionary: string;
  readonly nFeatures: number;
  readonly asked: number;
  readonly explained: number;
  /** Features without an explanation, by reason. */
  readonly skipped: Readonly<Record<string, number>>;
  /** Median characters of the description and of its machine-readable form; null where there is none. */
  readonly size: { readonly description: number | null; readonly detail: number | null };
  readonly quality: DictionaryQuality | null;
  readonly weightsHash: string;
  /** Keys of the runs its numbers come from, by stage. */
  readonly runs: Readonly<Record<string, string>>;
}

export interface InterpReportData {
  readonly title: string;
  /** Method that the others are compared with. */
  readonly reference: string;
  /** In the order in which they are drawn. */
  readonly methods: readonly { readonly name: string; readonly what: string }[];
  readonly members: readonly ReportedMember[];
  readonly instruments: readonly ReportedInstrument[];
  /** Facts about how it was made: label and value. */
  readonly facts: readonly (readonly [string, string])[];
  /** What a reader must know to read the figures rightly. */
  readonly notes: readonly string[];
}

/** Draws a comparison of methods: a self-contained HTML file at `path`, with a Markdown table and the JSON of all numbers beside it. */
export interface InterpReport {
  /** Returns the paths written. */
  write(path: string, data: InterpReportData): Promise<readonly string[]>;
}
