import type { ExplainOutcome } from '../domain/feature.ts';
import { meanInterval } from './meanInterval.ts';
import type { MeanInterval } from './meanInterval.ts';

/** Scores of one kind over a dictionary. Read `ofScored` only beside `coverage`: hard features are the ones that get skipped. */
export interface ScoreSummary {
  /** Mean over features with a defined score. */
  readonly ofScored: MeanInterval;
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
  readonly scores: Readonly<Record<string, ScoreSummary>>;
}

/** Collects outcomes one by one; memory is two numbers per feature and score. */
export class ExplainTally {
  #features = 0;
  #explained = 0;
  readonly #skipped: Map<string, number> = new Map();
  readonly #values: Map<string, number[]> = new Map();
  readonly #undefined: Map<string, Map<string, number>> = new Map();

  add(outcome: ExplainOutcome): void {
    this.#features++;
    if (outcome.kind === 'skipped') {
      count(this.#skipped, outcome.reason);
      return;
    }
    this.#explained++;
    for (const { scorer, value, undefinedReason } of outcome.explanation.scores) {
      let values = this.#values.get(scorer);
      if (values === undefined) this.#values.set(scorer, (values = []));
      if (value !== null) {
        values.push(value);
        continue;
      }
      let reasons = this.#undefined.get(scorer);
      if (reasons === undefined) this.#undefined.set(scorer, (reasons = new Map()));
      count(reasons, undefinedReason ?? 'no reason given');
    }
  }

  summary(): ExplainSummary {
    const scores: Record<string, ScoreSummary> = {};
    for (const [scorer, values] of this.#values) {
      const zeros = Array.from({ length: this.#features - values.length }, () => 0);
      scores[scorer] = {
        ofScored: meanInterval(values),
        skippedAsZero: meanInterval([...values, ...zeros]),
        undefined: Object.fromEntries(this.#undefined.get(scorer) ?? []),
      };
    }
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
