import type { ExplainOutcome } from '../domain/feature.ts';
import { meanInterval } from './meanInterval.ts';
import type { MeanInterval } from './meanInterval.ts';

/** Scores of one instrument by one judge over a dictionary. Read `ofScored` only beside `coverage`: hard features are the ones that get skipped. */
export interface ScoreSummary {
  readonly scorer: string;
  readonly judge: string;
  /** Mean over features with a defined score. */
  readonly ofScored: MeanInterval;
  /** ofScored.n / features asked for. */
  readonly coverage: number;
  /** Mean over all features asked for, those skipped or without a defined score counted as 0. */
  readonly skippedAsZero: MeanInterval;
  /** Explained features whose score is undefined, by reason. */
  readonly undefined: Readonly<Record<string, number>>;
}

export interface ExplainSummary {
  readonly features: number;
  readonly explained: number;
  /** explained / features. */
  readonly coverage: number;
  /** Features without an explanation, by reason. */
  readonly skipped: Readonly<Record<string, number>>;
  /** One entry per scorer and judge, in the order they first occur: two judges are never pooled. */
  readonly scores: readonly ScoreSummary[];
}

/** The score of that instrument, by that judge or, without one named, by the first that used it. */
export function scoreOf(summary: ExplainSummary, scorer: string, judge?: string): ScoreSummary | undefined {
  return summary.scores.find((score) => score.scorer === scorer && (judge === undefined || score.judge === judge));
}

interface Collected {
  readonly scorer: string;
  readonly judge: string;
  readonly values: number[];
  readonly undefined: Map<string, number>;
}

/** Collects outcomes one by one; memory is one number per feature, scorer and judge. */
export class ExplainTally {
  #features = 0;
  #explained = 0;
  readonly #skipped: Map<string, number> = new Map();
  readonly #scores: Map<string, Collected> = new Map();

  add(outcome: ExplainOutcome): void {
    this.#features++;
    if (outcome.kind === 'skipped') {
      count(this.#skipped, outcome.reason);
      return;
    }
    this.#explained++;
    for (const { scorer, judge, value, undefinedReason } of outcome.explanation.scores) {
      const key = JSON.stringify([scorer, judge]);
      let collected = this.#scores.get(key);
      if (collected === undefined) this.#scores.set(key, (collected = { scorer, judge, values: [], undefined: new Map() }));
      if (value === null) count(collected.undefined, undefinedReason ?? 'no reason given');
      else collected.values.push(value);
    }
  }

  summary(): ExplainSummary {
    const scores = Array.from(this.#scores.values(), ({ scorer, judge, values, undefined: without }): ScoreSummary => {
      const zeros = Array.from({ length: this.#features - values.length }, () => 0);
      return {
        scorer,
        judge,
        ofScored: meanInterval(values),
        coverage: values.length / this.#features,
        skippedAsZero: meanInterval([...values, ...zeros]),
        undefined: Object.fromEntries(without),
      };
    });
    return {
      features: this.#features,
      explained: this.#explained,
      coverage: this.#features === 0 ? 0 : this.#explained / this.#features,
      skipped: Object.fromEntries(this.#skipped),
      scores,
    };
  }
}

function count(counts: Map<string, number>, reason: string): void {
  counts.set(reason, (counts.get(reason) ?? 0) + 1);
}
